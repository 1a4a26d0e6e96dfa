"""The signals a weighter may ask for, and the only code that measures them.

A weighter asks by naming a signal as a parameter of `call` (measured before
the update) or of `observe` (measured after it). K is the number of tasks, and
`c` are the `loss_weights` of `compile`: the update adds up the gradients
`w_k c_k ∇L_k`, and a task with `c_k = 0` counts as absent.

A signal is one entry of `SIGNALS`: what else the package needs to know of it
is read there, never guessed from its name.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

BEFORE, AFTER = ("call",), ("observe",)
SUPPORT, QUERY = frozenset({"support"}), frozenset({"query"})
AGAIN = frozenset({"support again"})


class Sources(NamedTuple):
    """What a step has at hand to measure signals from.

    Args:
        support: `TaskGradients` of the batch that the update is made of.
        query: `TaskGradients` of the query batch after the update, or `None`
            before it.
        scope: String or `None`, whose gradients.
        epoch: Float scalar, the number of epochs finished.
        learning_rate: Float scalar.
        again: `TaskGradients` of the support batch after the update, or `None`
            where no signal reads it.
    """

    support: object
    query: object
    scope: str | None
    epoch: tf.Tensor
    learning_rate: tf.Tensor
    again: object = None

    @property
    def fixed(self):
        """`(K,)` float32, the loss weights `c` of `compile`."""
        return self.support.loss_weights


class Signal(NamedTuple):
    """What one signal holds, and how it is measured at which cost.

    Args:
        axes: Tuple of strings, what each axis is indexed by.
        when: Tuple of the methods that may ask for it: `"call"` (before the
            update), `"observe"` (after it).
        cost: String. Work beyond the uniform step.
        meaning: String. Content and unit.
        measure: Function from `Sources` to a tensor, the same on every
            replica.
        batches: Frozenset of `"support"`, `"query"` and `"support again"` (at
            the new parameters): whose losses or gradients are read.
        of_gradients: Boolean. Whether it is made of tasks' gradients.
        of_step: Boolean. Whether it is of the optimizer's own step.
        of_halves: Boolean. Whether two halves of the batch meet in it.
    """

    axes: tuple[str, ...]
    when: tuple[str, ...]
    cost: str
    meaning: str
    measure: Callable[[Sources], tf.Tensor]
    batches: frozenset[str] = frozenset()
    of_gradients: bool = False
    of_step: bool = False
    of_halves: bool = False

    def shape(self, num_tasks: int, sizes=None) -> tuple[int, ...]:
        """Returns the static shape for `num_tasks` tasks.

        Args:
            num_tasks: Integer, K.
            sizes: Dict from the name of another axis to its length.
        """
        lengths = {"task": num_tasks, **(sizes or {})}
        return tuple(lengths[axis] for axis in self.axes)


def _present(sources):
    batch = sources.query or sources.support
    return tf.where(sources.fixed > 0.0, batch.present, 0.0)


def _times_fixed(gramian, sources):
    return gramian * sources.fixed[:, None] * sources.fixed


PER_TASK, PER_PAIR = ("task",), ("task", "task")
# Axes whose length the model says: what its scope has of these.
MODEL_AXES = ("number", "coordinate", "layer")

SIGNALS = {
    "losses": Signal(
        PER_TASK,
        BEFORE,
        "none",
        "mean loss of each task over the global batch",
        lambda sources: sources.support.losses,
        SUPPORT,
    ),
    "present": Signal(
        PER_TASK,
        BEFORE + AFTER,
        "none",
        "1 for a task with a label in the batch, else 0",
        _present,
    ),
    "epoch": Signal(
        (),
        BEFORE,
        "none",
        "epochs finished, from 0",
        lambda sources: sources.epoch,
    ),
    "gradient_norms": Signal(
        PER_TASK,
        BEFORE,
        "one pass over the heads; below them, cotangents of each task down to "
        "the scope, and a product for each",
        "norm of each task's gradient, in loss per parameter",
        lambda sources: sources.support.norms(sources.scope),
        SUPPORT,
        of_gradients=True,
    ),
    "gramian": Signal(
        PER_PAIR,
        BEFORE,
        "one pass over the heads; below them, cotangents of each task down to "
        "the scope, and products layer by layer",
        "inner products of the tasks' gradients, each times c_k",
        lambda s: _times_fixed(s.support.gramian(s.scope), s),
        SUPPORT,
        of_gradients=True,
    ),
    "gramian_by_layer": Signal(
        ("layer", "task", "task"),
        BEFORE,
        "that of `gramian`, which is found layer by layer",
        "the terms whose sum is `gramian`, one for each layer of the scope",
        lambda s: _times_fixed(s.support.gramian_by_layer(s.scope), s),
        SUPPORT,
        of_gradients=True,
    ),
    "gradients": Signal(
        ("task", "number"),
        BEFORE,
        "a backward pass per task, whose result is held in full; at the "
        "representation, one pass over the heads",
        "each task's gradient as one row; at the representation, its sum over "
        "the rows of the batch",
        lambda sources: sources.support.matrix(sources.scope),
        SUPPORT,
        of_gradients=True,
    ),
    "signed_gradients": Signal(
        ("task", "coordinate"),
        BEFORE,
        "one pass over the heads",
        "each task's gradient at the cut times the latter's sign, summed over "
        "the rows of the batch, times c_k",
        lambda sources: sources.support.signed_sums() * sources.fixed[:, None],
        SUPPORT,
        of_gradients=True,
    ),
    "split_gramian": Signal(
        PER_PAIR,
        BEFORE,
        "that of `gramian`, and a second pass over the heads; where rows meet, "
        "as in batch normalisation, two backward passes per task",
        "row i, column j: inner product of task i's gradient on the even rows "
        "and task j's on the odd ones, each times c_k",
        lambda s: _times_fixed(s.support.split_gramian(s.scope), s),
        SUPPORT,
        of_gradients=True,
        of_halves=True,
    ),
    "query_losses": Signal(
        PER_TASK,
        AFTER,
        "a forward pass on the query batch",
        "mean query loss of each task at the new parameters",
        lambda sources: sources.query.losses,
        QUERY,
    ),
    "losses_after": Signal(
        PER_TASK,
        AFTER,
        "a forward pass",
        "mean loss of each task on the same batch at the new parameters, with "
        "the same dropout",
        lambda sources: sources.again.losses,
        AGAIN,
    ),
    "query_support_gramian": Signal(
        PER_PAIR,
        AFTER,
        "on the support and on the query batch: one pass over the heads; below "
        "them, cotangents of each task, and products layer by layer; with "
        "separate inputs, a backward pass per task over its own rows",
        "row t, column j: inner product of task t's query gradient at the new "
        "parameters and c_j times task j's support gradient at the old ones",
        lambda s: s.query.gramian(s.scope, s.support) * s.fixed,
        SUPPORT | QUERY,
        of_gradients=True,
    ),
    "query_loss_falls": Signal(
        PER_PAIR,
        AFTER,
        "a backward pass per task on the support and on the query batch",
        "row t, column j: by how much a unit more of task j's weight lowers "
        "task t's query loss, through the step that the optimizer made",
        lambda s: s.query.falls(s.scope, s.support) * s.fixed,
        SUPPORT | QUERY,
        of_gradients=True,
        of_step=True,
    ),
    "learning_rate": Signal(
        (),
        AFTER,
        "none",
        "the optimizer's learning rate in this step",
        lambda sources: sources.learning_rate,
    ),
}

SCOPES = ("representation", "last_shared_layer", "shared", "all")


def known_signals(method) -> list[str]:
    """Returns the names that `"call"` or `"observe"` may ask for."""
    return [n for n, signal in SIGNALS.items() if method in signal.when]


def reads_query(weighter) -> bool:
    """Whether a weighter learns from query data."""
    return _reads("query", weighter)


def reads_again(weighter) -> bool:
    """Whether a weighter reads the support batch at the new parameters."""
    return _reads("support again", weighter)


def _reads(batch, weighter):
    asked = (*weighter.needs, *weighter.observes)
    return any(batch in SIGNALS[name].batches for name in asked)


def keeps_gradients(weighter) -> bool:
    """Whether `observe` reads the gradients that led to the update."""
    observed = [SIGNALS[name] for name in weighter.observes]
    return any(s.of_gradients and "support" in s.batches for s in observed)


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


def measure(names, *sources):
    """Measures the named signals, and nothing else.

    Args:
        names: Iterable of keys of `SIGNALS`.
        *sources: The fields of `Sources`.

    Returns:
        Dict from name to float32 tensor, the same on every replica.
    """
    sources = Sources(*sources)
    return {
        name: tf.cast(SIGNALS[name].measure(sources), tf.float32)
        for name in names
    }
