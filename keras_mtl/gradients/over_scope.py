"""How the tasks' gradients over a scope are obtained: the choice."""

from typing import Protocol

import tensorflow as tf

from keras_mtl.gradients.at_representation import AtRepresentation
from keras_mtl.gradients.layer_by_layer import goes_by_layer, layer_by_layer
from keras_mtl.gradients.task_by_task import TaskByTask, task_by_task


class ScopeGradients(Protocol):
    """The tasks' gradients over one scope, exact whichever way.

    They carry the loss scale, and what is returned is global.
    """

    def keep(self) -> None:
        """Computes what another batch's `products` take of this one."""
        ...

    def products(self, other=None) -> tf.Tensor:
        """Returns the `(K, K)` inner products, or those with another batch."""
        ...

    def squares(self) -> tf.Tensor:
        """Returns the `(K,)` squared norms."""
        ...


def over_scope(
    backward, scope, other=None, between_batches=False
) -> ScopeGradients:
    """Returns the tasks' gradients over a scope, the cheapest exact way.

    At the representation they are those of one pass over the heads; of the
    encoder's variables they are found layer by layer. Otherwise (separate
    inputs that pass the encoder task by task, replicas, eager steps, encoders
    whose representation is not known) it takes a backward pass per task.

    Args:
        backward: `BackwardPasses`.
        scope: String, whose gradients.
        other: `ScopeGradients` of the batch whose tasks are the columns of
            `products`, or `None`.
        between_batches: Boolean, whether another batch will ask for products.
    """
    if scope == "representation":
        return AtRepresentation(backward)
    if isinstance(other, TaskByTask) or not goes_by_layer(backward, scope):
        return task_by_task(backward, scope)
    return layer_by_layer(backward, scope, between_batches, other)
