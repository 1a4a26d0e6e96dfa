"""Which variables the tasks share, and which belong to one head."""

import keras
import tensorflow as tf


def task_variables(model) -> list:
    """Returns all trainable variables but weighter's and discriminator's."""
    others = [model.weighter, model.discriminator]
    not_mine = {
        id(v)
        for layer in others
        if layer is not None
        for v in layer.trainable_variables
    }
    return [v for v in model.trainable_variables if id(v) not in not_mine]


def shared_variables(model) -> list:
    """Returns the trainable variables that serve more than one task.

    With one task, these are the encoder's.
    """
    owners = _owners(model)
    known = model.representation_known or len(model.task_names) == 1
    always = {
        id(v)
        for v in model.encoder.trainable_variables
        if known or not owners[id(v)]
    }
    return [
        variable
        for variable in task_variables(model)
        if len(owners[id(variable)]) > 1 or id(variable) in always
    ]


def head_variables(model) -> list:
    """Returns the trainable variables that serve one task only."""
    shared = {id(v) for v in shared_variables(model)}
    return [v for v in task_variables(model) if id(v) not in shared]


def trunk_variables(model) -> list:
    """Returns the encoder's trainable variables that are in no head."""
    if not model.representation_known:
        return []
    owners = _owners(model)
    return [v for v in model.encoder.trainable_variables if not owners[id(v)]]


def variables_by_head(model) -> list[list]:
    """Returns the trainable variables of each layer that holds heads.

    That is one layer per task, or one for all stacked tasks. What several
    layers share is left out.
    """
    mine = {id(v) for v in head_variables(model)}
    return [
        [v for v in layer.trainable_variables if id(v) in mine]
        for (layer,) in _weighed(model, _task_layers(model)).values()
    ]


def scope_variables(model, scope) -> list:
    """Returns the variables whose gradients a `scope` asks for.

    Args:
        model: A built `MultiTaskModel`.
        scope: `"last_shared_layer"`, `"shared"` or `"all"`.

    Returns:
        List of trainable variables.

    Raises:
        ValueError: If there are none.
    """
    if scope == "all":
        variables = task_variables(model)
    else:
        variables = shared_variables(model)
    if scope == "last_shared_layer" and variables:
        variables = _last_layer(model.encoder, {id(v) for v in variables})
    if not variables:
        raise ValueError(
            f"{type(model.weighter).__name__} needs gradients of the scope "
            f"{scope!r}, but the model has no trainable variables there. "
            "Unfreeze the encoder, or use a weighter that reads losses only."
        )
    return variables


def check_representation(model):
    """Raises if there is no representation that all heads start from.

    Raises:
        ValueError: With what to do about it.
    """
    if model.representation_known:
        return
    weighter = type(model.weighter).__name__
    if model.has_task_encoder:
        raise ValueError(
            f"{weighter} needs gradients of the representation, but "
            f"{type(model.encoder).__name__} gives each task one of its own. "
            'Pass scope="shared" to the weighter.'
        )
    raise ValueError(
        f"{weighter} needs gradients of the representation, but the model does "
        "not say which tensor that is. Pass "
        'representation="layer_name" to from_functional(), or scope="shared" '
        "to the weighter."
    )


def check_heads_reach(model, representation):
    """Raises if a head's prediction does not depend on the representation.

    Args:
        model: A built `MultiTaskModel`.
        representation: Structure of `keras.KerasTensor`.

    Raises:
        ValueError: If a head has no gradient there; no weight could ever act
            on the shared variables through it.
    """
    tensors = keras.tree.flatten(representation)
    if not all("float" in tensor.dtype for tensor in tensors):
        return
    specs = keras.tree.map_structure(
        lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), representation
    )

    def check(values):
        heads = _weighed(model, model.arrangement.head_layers)
        for task, head in heads.items():
            mine = values[task] if model.has_task_encoder else values
            with tf.GradientTape() as tape:
                tape.watch(mine)
                output = keras.tree.flatten(head(mine, training=False))
                output = [o for o in output if o.dtype.is_floating]
            pulled = tape.gradient(output, keras.tree.flatten(mine))
            if all(gradient is None for gradient in pulled):
                raise ValueError(unreached(task, "representation"))

    # Traced only: nothing is computed.
    tf.function(check, autograph=False).get_concrete_function(specs)


def unreached(task, scope) -> str:
    """Returns the message for a head without a gradient at `scope`."""
    return (
        f"The head of task {task!r} does not reach the "
        f"{scope.replace('_', ' ')}: its loss has no gradient there. Connect "
        "the head to the encoder's output."
    )


def _weighed(model, by_layer):
    """Returns the entries of `by_layer` but those of outputs without a loss."""
    unweighed = {*model.output_names} - {*model.task_names}
    return {n: value for n, value in by_layer.items() if n not in unweighed}


def _owners(model):
    owners = {id(v): set() for v in task_variables(model)}
    for task, layers in _task_layers(model).items():
        for layer in layers:
            for variable in layer.trainable_variables:
                owners[id(variable)].add(task)
    return owners


def _task_layers(model):
    heads = model.arrangement.head_layers
    if model.has_task_encoder:
        paths = {task: model.encoder.layers_of(task) for task in heads}
        return {task: [head, *paths[task]] for task, head in heads.items()}
    if model.representation_known:
        return {task: [head] for task, head in heads.items()}
    inputs, outputs = model.encoder.inputs, model.encoder.output
    return {task: [keras.Model(inputs, outputs[task])] for task in outputs}


def _last_layer(layer, shared):
    """Returns the shared variables of the last layer that has any."""
    children = getattr(layer, "layers", None) or layer._layers
    for child in reversed(children):
        found = _last_layer(child, shared)
        if found:
            return found
    return [v for v in layer.trainable_variables if id(v) in shared]
