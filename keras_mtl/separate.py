"""Tasks with inputs of their own: every row passes the encoder once."""

import keras
import tensorflow as tf


def are_separate(inputs, output_names, encoder, said=None) -> bool:
    """Whether inputs are those of each task, in a dict by its name.

    Args:
        inputs: What a model is called on.
        output_names: Names of the tasks.
        encoder: The model's encoder; a functional one knows its inputs.
        said: Boolean, what the user says of dicts; `None` to tell by names.

    Raises:
        ValueError: If it cannot be told, or is not what the user says.
    """
    if not isinstance(inputs, dict) or not inputs or said is False:
        return False
    tasks = [name for name in inputs if name in output_names]
    if said is None and (not tasks or set(inputs) == _input_names(encoder)):
        return False
    if len(tasks) < len(inputs):
        others = [name for name in inputs if name not in output_names]
        raise ValueError(
            f"Inputs are named as the tasks {tasks} are, but {others} are no "
            f"tasks. Tasks: {list(output_names)}. Received: inputs "
            f"{list(inputs)}. Pass separate_inputs=False to MultiTaskModel if "
            "the encoder takes them all, or name inputs of each task's own by "
            "tasks alone."
        )
    return True


def _input_names(encoder):
    """Returns the names of the inputs of a functional encoder."""
    inputs = getattr(encoder, "inputs", None) or []
    if isinstance(getattr(encoder, "_inputs_struct", None), dict):
        return set(encoder._inputs_struct)
    return {tensor.name for tensor in inputs} if len(inputs) > 1 else set()


def check_alike(inputs):
    """Checks that tasks' inputs differ in their number of rows only.

    Args:
        inputs: Dict from task name to inputs (tensor or structure of them).

    Raises:
        ValueError: If they differ in structure or shape.
    """
    first = next(iter(inputs.values()))
    for task, part in inputs.items():
        if not _alike(first, part):
            raise ValueError(
                "Separate inputs must be alike but for the number of rows. "
                f"Received: {next(iter(inputs))!r}: {_shapes(first)}, "
                f"{task!r}: {_shapes(part)}. Pad or reshape them; or pass "
                "separate_inputs=False to MultiTaskModel, if the encoder "
                "takes them all."
            )


def encode_rows(encoder, inputs, training, apart):
    """Passes the rows of all tasks through one encoder, each once.

    Args:
        encoder: Layer or model.
        inputs: Dict from task name to inputs.
        training: Boolean, passed to the encoder.
        apart: Boolean. Whether they may pass task by task.

    Returns:
        The encoder's outputs as it gave them, joined or a dict by task name,
        and that dict.
    """
    check_alike(inputs)
    if apart and not (training and _rows_share_a_state(encoder)):
        parts = {
            task: own_leaves(encoder(part, training=training))
            for task, part in inputs.items()
        }
        return parts, parts
    joined, sizes = join_rows(inputs)
    outputs = own_leaves(encoder(joined, training=training))
    return outputs, split_rows(outputs, sizes)


def _rows_share_a_state(encoder):
    """Whether training rows act on something in common.

    That is a state, as in batch-norm, or a regulariser of activities.
    """
    return any(
        layer.activity_regularizer is not None
        or any("float" in v.dtype for v in layer._non_trainable_variables)
        for layer in encoder._flatten_layers()
    )


def join_rows(inputs):
    """Stacks the tasks' inputs along the batch.

    Args:
        inputs: Dict from task name to inputs (tensor or structure of them),
            alike but for the number of rows.

    Returns:
        The joined inputs, and a dict from task name to number of rows.
    """
    parts = list(inputs.values())
    sizes = {
        task: num_rows(keras.tree.flatten(part)[0])
        for task, part in inputs.items()
    }
    joined = keras.tree.map_structure(
        lambda *tensors: keras.ops.concatenate(tensors, axis=0), *parts
    )
    return joined, sizes


def split_rows(joined, sizes):
    """Undoes `join_rows` on the encoder's output.

    Args:
        joined: Tensor or structure of tensors, all rows.
        sizes: Dict from task name to number of rows.

    Returns:
        Dict from task name to its rows, Keras masks included.
    """
    return {
        task: keras.tree.map_structure(
            lambda tensor, task=task: _part(tensor, sizes, task), joined
        )
        for task in sizes
    }


def own_leaves(representation):
    """Returns the encoder's outputs as tensors that do not follow each other.

    A gradient at one of two outputs is then not also that through the other.
    """
    return keras.tree.map_structure(_own, representation)


def _own(tensor):
    if isinstance(tensor, keras.KerasTensor):
        return tensor
    own = tf.identity(tensor)
    mask = getattr(tensor, "_keras_mask", None)
    if mask is not None:
        own._keras_mask = mask
    return own


def _part(tensor, sizes, task):
    if isinstance(tensor, keras.KerasTensor):
        return keras.KerasTensor((sizes[task], *tensor.shape[1:]), tensor.dtype)
    index = list(sizes).index(task)
    part = tf.split(tensor, list(sizes.values()), axis=0)[index]
    mask = getattr(tensor, "_keras_mask", None)
    if mask is not None:
        part._keras_mask = tf.split(mask, list(sizes.values()), axis=0)[index]
    return part


def num_rows(tensor):
    """Returns the number of rows, an integer where it is known."""
    if isinstance(tensor, keras.KerasTensor):
        return tensor.shape[0]
    if isinstance(tensor, tf.RaggedTensor):
        return tensor.nrows(tf.int32)
    if isinstance(tensor, tf.SparseTensor):
        return tf.cast(tensor.dense_shape[0], tf.int32)
    return tensor.shape[0] or tf.shape(tensor)[0]


def _alike(first, part):
    try:
        keras.tree.assert_same_structure(first, part)
    except (ValueError, TypeError):
        return False
    pairs = zip(
        keras.tree.flatten(first), keras.tree.flatten(part), strict=True
    )
    return all(_fits(a.shape[1:], b.shape[1:]) for a, b in pairs)


def _fits(a, b):
    pairs = zip(a, b, strict=False)
    return len(a) == len(b) and all(i == j or None in (i, j) for i, j in pairs)


def _shapes(structure):
    return keras.tree.map_structure(lambda t: tuple(t.shape), structure)
