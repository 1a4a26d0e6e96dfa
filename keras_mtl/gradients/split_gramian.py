"""Inner products of the tasks' gradients on two halves of a batch."""

import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.gradients import roles
from keras_mtl.gradients.halved import halved_products, rows_never_meet
from keras_mtl.gradients.halves import EVEN, ODD, HalfLosses
from keras_mtl.gradients.layer_by_layer import goes_by_layer
from keras_mtl.gradients.representation import representation_pass
from keras_mtl.gradients.sums import inner_products


def split_gramian(batch, backward, scope):
    """Returns the `(K, K)` inner products of two halves' gradients.

    Row i: task i's gradient on the even rows; column j: task j's on the odd
    ones. A task without a label in one half has a row and a column of zeros.

    Args:
        batch: `ForwardPass`.
        backward: Its `BackwardPasses`.
        scope: String, whose gradients.

    Raises:
        ValueError: If the scope is the representation.
    """
    model, tape = backward.model, backward.losses.tape
    if scope == "representation":
        raise ValueError(
            "Two halves of a batch have no rows of the representation in "
            f"common. Pass scope='shared' to {model.weighter.name!r}. "
            f"Received: scope={scope!r}"
        )
    variables = roles.scope_variables(model, scope)
    even, odd = (
        HalfLosses(model, tape, batch, parity, backward.scale)
        for parity in (EVEN, ODD)
    )
    halves = even.losses, odd.losses
    total = _by_layer(batch, backward, scope, variables, halves)
    if total is None:
        total = tf.zeros((backward.losses.num_tasks,) * 2)
        columns = (_by_variable(half, variables) for half in halves)
        for of_even, of_odd in zip(*columns, strict=True):
            total += inner_products(of_even, of_odd)
    present = even.present * odd.present
    return total * present[:, None] * present / backward.scale**2


def _by_layer(batch, backward, scope, variables, halves):
    """Returns the inner products of halves layer by layer, or `None`."""
    if (
        not goes_by_layer(backward, scope)
        or backward.losses.owners is not None
        or backward.own is not None
        or not rows_never_meet(backward.model.task_losses, batch.outputs)
    ):
        return None
    units, uses = roles.of(backward.model).by_unit, backward.uses
    passes = [
        representation_pass(losses, backward.leaves, units, uses)
        for losses in halves
    ]
    heads = {id(v) for unit in units for v in unit}
    return halved_products(variables, heads, uses, backward.losses, passes)


def _by_variable(losses, variables):
    """Returns for each variable the global gradients of the K tasks."""
    pulled = [
        distribution.all_sum(losses.of_task(task, variables))
        for task in range(losses.num_tasks)
    ]
    return map(list, zip(*pulled, strict=True))
