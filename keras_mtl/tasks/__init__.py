"""How a model arranges its tasks: in dicts by name, or stacked in arrays."""

from keras_mtl.layers.stacked_heads import StackedHeads
from keras_mtl.tasks.named import NamedTasks
from keras_mtl.tasks.stacked import StackedTasks


def arrangement(heads) -> NamedTasks | StackedTasks:
    """Returns the arrangement that the `heads` of a model make.

    Args:
        heads: Dict from task name to layer or model, or `StackedHeads`.

    Raises:
        ValueError: If they are neither, or a name or layer is not usable.
    """
    if isinstance(heads, StackedHeads):
        return StackedTasks(heads)
    return NamedTasks(heads)
