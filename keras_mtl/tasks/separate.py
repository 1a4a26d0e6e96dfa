"""Tasks with inputs of their own: every row passes the encoder once."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.data.symbolic import symbolic


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
    structure = compat.input_structure(encoder)
    if isinstance(structure, dict):
        return set(structure)
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
        if not alike(first, part):
            raise ValueError(
                "Separate inputs must be alike but for the number of rows. "
                f"Received: {next(iter(inputs))!r}: {_shapes(first)}, "
                f"{task!r}: {_shapes(part)}. Pad or reshape them; or pass "
                "separate_inputs=False to MultiTaskModel, if the encoder "
                "takes them all."
            )


def encode_rows(encode, inputs, apart):
    """Passes the rows of all tasks through what they share, each once.

    Args:
        encode: Function from inputs to a structure of tensors.
        inputs: Dict from task name to inputs.
        apart: Boolean. Whether they pass task by task.

    Returns:
        `Cut`, joined or by task, and a dict from task name to its copies.
    """
    if apart:
        cuts = {task: sever(encode(part)) for task, part in inputs.items()}
        cut = Cut(
            {task: part.tensors for task, part in cuts.items()},
            {task: part.copies for task, part in cuts.items()},
        )
        return cut, cut.copies
    joined, sizes = join_rows(inputs)
    cut = sever(encode(joined))
    return cut, split_rows(cut.copies, sizes)


def rows_share_a_state(encoder):
    """Whether training rows act on something in common.

    That is a state, as in batch-norm, or a regulariser of activities.
    """
    return any(
        layer.activity_regularizer is not None
        or any("float" in v.dtype for v in compat.own_non_trainable(layer))
        for layer in compat.layers_within(encoder)
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


def as_spec(leaf):
    """Returns the `keras.KerasTensor` of a tensor; one as it is."""
    return leaf if isinstance(leaf, keras.KerasTensor) else symbolic(leaf)


def common_specs(inputs, separate):
    """Returns the `keras.KerasTensor`s of inputs.

    Of separate ones that are alike, those of one task: they may be served as
    shared ones.
    """
    parts = list(inputs.values()) if separate else []
    if parts and all(alike(parts[0], part) for part in parts):
        inputs = parts[0]
    return keras.tree.map_structure(as_spec, inputs)


def plain(structure, convert=lambda leaf: leaf):
    """Returns a structure in plain containers; Keras keeps its own."""
    if isinstance(structure, dict):
        return {key: plain(part, convert) for key, part in structure.items()}
    if isinstance(structure, list | tuple):
        return [plain(part, convert) for part in structure]
    return convert(structure)


class Cut(NamedTuple):
    """What the tasks read in common, before and after it is severed.

    Args:
        tensors: Structure of tensors, as they were computed.
        copies: The same, copies that do not follow from each other: a
            gradient at one is not also that through another.
        own: `(B, K, U)`, what stacked tasks make of the copies, or a dict of
            what each makes of them; empty where heads read these.
    """

    tensors: Any
    copies: Any
    own: Any = ()

    def floating(self) -> tuple[list, list]:
        """Returns the tensors and the copies that have a gradient.

        After a prediction come the logits that its loss reads in its place.
        """
        pairs = []
        for pair in zip(*map(keras.tree.flatten, self[:2]), strict=True):
            if pair[0].dtype.is_floating:
                pairs.append(pair)
                if _logits(pair[1]) is not None:
                    pairs.append(tuple(map(_logits, pair)))
        return [tensor for tensor, _ in pairs], [copy for _, copy in pairs]

    def keep_logits_if_read(self, parts, outputs):
        """Drops the logits of the copies unless an output is one of the parts.

        Args:
            parts: Structure of tensors, what heads were given.
            outputs: Structure of tensors, what they returned.
        """
        given = {id(part) for part in keras.tree.flatten(parts)}
        passed_on = [o for o in keras.tree.flatten(outputs) if id(o) in given]
        if all(_logits(output) is None for output in passed_on):
            for copy in keras.tree.flatten(self.copies):
                if _logits(copy) is not None:
                    del copy._keras_logits


def sever(tensors) -> Cut:
    """Returns a `Cut` of these tensors, Keras masks included.

    Keras' losses read the logits of a sigmoid or softmax in place of what a
    head passes on, so that these are severed with it.
    """
    return Cut(tensors, keras.tree.map_structure(_own, tensors))


def _own(tensor):
    if isinstance(tensor, keras.KerasTensor):
        return tensor
    own = tf.identity(tensor)
    mask = compat.mask_of(tensor)
    if mask is not None:
        compat.set_mask(own, mask)
    logits = _logits(tensor)
    if logits is not None:
        own._keras_logits = tf.identity(logits)
    return own


def _logits(tensor):
    """Returns what a sigmoid or softmax was taken of, where Keras noted it."""
    return getattr(tensor, "_keras_logits", None)


def _part(tensor, sizes, task):
    if isinstance(tensor, keras.KerasTensor):
        return keras.KerasTensor((sizes[task], *tensor.shape[1:]), tensor.dtype)
    index = list(sizes).index(task)
    part = tf.split(tensor, list(sizes.values()), axis=0)[index]
    mask = compat.mask_of(tensor)
    if mask is not None:
        compat.set_mask(
            part, tf.split(mask, list(sizes.values()), axis=0)[index]
        )
    logits = _logits(tensor)
    if logits is not None:
        rows = list(sizes.values())
        part._keras_logits = tf.split(logits, rows, axis=0)[index]
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


def alike(first, part) -> bool:
    """Whether two inputs differ in their number of rows only."""
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
