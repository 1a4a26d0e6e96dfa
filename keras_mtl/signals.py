"""The signals a weighter may ask for, and the only code that measures them.

A weighter asks by naming a signal as a parameter of `call` (measured before
the update) or of `observe` (measured after it). K is the number of tasks, and
`c` are the `loss_weights` of `compile`: the update adds up the gradients
`w_k c_k ∇L_k`, and a task with `c_k = 0` counts as absent.
"""

from typing import NamedTuple

import tensorflow as tf


class Signal(NamedTuple):
    """What one signal holds and what measuring it costs.

    Args:
        rank: Integer. Number of axes, each of length K.
        when: `"call"` (before the update) or `"observe"` (after it).
        cost: String. Work beyond the uniform step.
        meaning: String. Content and unit.
    """

    rank: int
    when: str
    cost: str
    meaning: str

    def shape(self, num_tasks: int) -> tuple[int, ...]:
        """Returns the static shape for `num_tasks` tasks."""
        return (num_tasks,) * self.rank


SIGNALS = {
    "losses": Signal(
        1, "call", "none", "mean loss of each task over the global batch"
    ),
    "present": Signal(
        1, "call", "none", "1 for a task with a label in the batch, else 0"
    ),
    "epoch": Signal(0, "call", "none", "epochs finished, from 0"),
    "gradient_norms": Signal(
        1,
        "call",
        "one pass over the heads; below them, cotangents of each task down to "
        "the scope, and a product for each",
        "norm of each task's gradient, in loss per parameter",
    ),
    "gramian": Signal(
        2,
        "call",
        "one pass over the heads; below them, cotangents of each task down to "
        "the scope, and products layer by layer",
        "inner products of the tasks' gradients, each times c_k",
    ),
    "query_losses": Signal(
        1,
        "observe",
        "a forward pass on the query batch",
        "mean query loss of each task at the new parameters",
    ),
    "query_support_gramian": Signal(
        2,
        "observe",
        "a backward pass per task, on the support and on the query batch; with "
        "separate inputs, over its own rows",
        "row t, column j: inner product of task t's query gradient at the new "
        "parameters and c_j times task j's support gradient at the old ones",
    ),
    "learning_rate": Signal(
        0, "observe", "none", "the optimizer's learning rate in this step"
    ),
}

SCOPES = ("representation", "last_shared_layer", "shared", "all")


def resolve_scope(weighter, common: bool):
    """Returns whose gradients `weighter` reads, one of `SCOPES`, or `None`.

    Args:
        weighter: `Weighter`.
        common: Whether all tasks have one representation in common.
    """
    scope = getattr(weighter, "scope", None)
    if scope == "auto":
        return "representation" if common else "shared"
    return scope


def measure(names, support, query, scope, epoch, learning_rate):
    """Measures the named signals, and nothing else.

    Args:
        names: Iterable of keys of `SIGNALS`.
        support: `TaskGradients` of the batch that the update is made of.
        query: `TaskGradients` of the query batch after the update, or `None`
            before it.
        scope: String or `None`, whose gradients.
        epoch: Float scalar, the number of epochs finished.
        learning_rate: Float scalar.

    Returns:
        Dict from name to float32 tensor, the same on every replica.
    """
    fixed = support.loss_weights
    measures = {
        "losses": lambda: support.losses,
        "present": lambda: tf.where(
            fixed > 0.0, (query or support).present, 0.0
        ),
        "epoch": lambda: epoch,
        "gradient_norms": lambda: support.norms(scope),
        "gramian": lambda: support.gramian(scope) * fixed[:, None] * fixed,
        "query_losses": lambda: query.losses,
        "query_support_gramian": lambda: query.gramian(scope, support) * fixed,
        "learning_rate": lambda: learning_rate,
    }
    return {name: tf.cast(measures[name](), tf.float32) for name in names}
