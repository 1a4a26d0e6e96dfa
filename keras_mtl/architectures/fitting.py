"""Whether encoder, discriminator and heads of a model fit together."""

from keras_mtl.architectures.task_discriminator import TaskDiscriminator
from keras_mtl.checks import check_tasks
from keras_mtl.layers.stacked_heads import StackedHeads


def check_encoder(model):
    """Binds an encoder of representations to the heads that read them.

    Args:
        model: `MultiTaskModel`.

    Raises:
        ValueError: If names differ, or the heads are stacked.
    """
    if not model.has_task_encoder:
        return
    if isinstance(model.heads, StackedHeads):
        if not model.encoder.has_cut:
            raise ValueError(
                "Stacked heads take the representations of all tasks in one "
                f"tensor. {type(model.encoder).__name__} overrides call(), and "
                "gives each task one of its own. Define shared() and own() in "
                "it, or give MultiTaskModel a dict of heads."
            )
        if model.encoder.task_names not in (None, model.task_names):
            raise ValueError(
                "Encoder and stacked heads must have the same tasks in the "
                f"same order. Received: {list(model.encoder.task_names)} and "
                f"{list(model.task_names)}."
            )
        model.encoder.bind(model.task_names)
        model.encoder.stack()
        return
    if model.encoder.names_given:
        check_tasks(
            "representation",
            model.encoder.task_names,
            model.output_names,
            complete=True,
        )
    model.encoder.bind(model.output_names)


def check_discriminator(model):
    """Binds the discriminator of a model, if any, to its tasks.

    Args:
        model: `MultiTaskModel`.

    Raises:
        ValueError: If the model shares no features for it to read, or does not
            have its tasks.
    """
    discriminator, encoder = model.discriminator, model.encoder
    if discriminator is None:
        return
    if not isinstance(discriminator, TaskDiscriminator):
        raise ValueError(
            "Argument `discriminator` must be a "
            "keras_mtl.architectures.TaskDiscriminator or None. Received: "
            f"discriminator={discriminator!r} (of type "
            f"{type(discriminator).__name__})"
        )
    if isinstance(model.heads, StackedHeads):
        raise ValueError(
            "Stacked heads take the same inputs for every task, whose rows no "
            "task discriminator can tell apart. Give MultiTaskModel a dict of "
            "heads and separate inputs, or no discriminator."
        )
    if model.has_task_encoder and not encoder.shares_features:
        raise ValueError(
            f"{type(encoder).__name__} has no shared features for a task "
            "discriminator. Set its `shares_features` if shared() returns "
            "them, or drop the discriminator."
        )
    discriminator.bind(model.output_names)


def check_separate(model, inputs):
    """Raises if inputs give a task discriminator nothing to tell apart."""
    if not model.is_separate(inputs):
        raise ValueError(
            "A task discriminator tells tasks apart by their rows. Received: "
            "shared inputs, whose rows belong to every task. Pass "
            "x={task: inputs}, or make the model without a discriminator."
        )
