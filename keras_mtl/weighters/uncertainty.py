"""Weights learned as the uncertainty of each task."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_mtl.checks import one_of
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.by_task import by_task, map_values

# The factor of `exp(-s) L`: 1/2 for a Gaussian, 1 for a softmax likelihood.
FACTORS = {"regression": 0.5, "classification": 1.0}
SMALLEST_VARIANCE = 1e-8


@keras.saving.register_keras_serializable(package="keras_mtl")
class Uncertainty(Weighter):
    """Weights inversely proportional to each task's learned noise variance.

    The model's optimizer trains `s`, the log variance of each task, together
    with the model, to minimise `sum(w * losses) + sum(s) / 2`. The weights are
    `w = exp(-s) / 2` for regression and `w = exp(-s)` for classification.
    They start at 1 and have no fixed sum. Because of the second term the total
    loss may be negative. After training, `weighter.log_variance` holds the
    learned `s`, `(K,)`, in the order of `weighter.task_names`.

    With `penalty="log1p"` (Liebel and Körner, 2018) the optimizer trains `σ`,
    the standard deviation of each task, to minimise
    `sum(w * losses) + sum(log(1 + σ²))` with `w = 1 / (2 σ²)`. The second term
    is positive, and the weights start at 0.5.

    Example:

    >>> Uncertainty()(losses=[0.3, 0.4])  # before training -> [1.0, 1.0]

    Args:
        kind: `"regression"` or `"classification"` for all tasks, a list of
            these in the order of the heads, or a dict from task name to one of
            them. With `None`, also as an entry, the model chooses by the
            task's loss; outside a model it means `"regression"`. Not for
            `penalty="log1p"`.
        penalty: `"log"` or `"log1p"`, the form of the second term.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        present: `(K,)` float32, 1 for a task with a label in the batch. The
            log variance of an absent task gets no gradient.

    Returns:
        `(K,)` float32 weights, positive, differentiable with respect to the
        trained variables. The second term is added by `add_loss`.

    Raises:
        ValueError: If a kind or the penalty is unknown, if the kinds do not
            match the tasks, or if there are kinds and `penalty="log1p"`.

    Reference:
        - [Kendall et al., 2018](https://arxiv.org/abs/1705.07115)
        - [Liebel and Körner, 2018](https://arxiv.org/abs/1805.06334)
    """

    def __init__(self, kind: Any = None, penalty: str = "log", **kwargs):
        super().__init__(**kwargs)
        self.kind = map_values(_checked_kind, kind)
        self.penalty = one_of("penalty", penalty, ("log", "log1p"))
        if self.penalty == "log1p" and kind is not None:
            raise ValueError(
                "Argument `kind` has no use with penalty='log1p', whose "
                "weights are the same for all kinds. Received: "
                f"kind={kind!r}. Leave it out."
            )
        self.inferred_kinds = None

    def set_kinds(self, kinds):
        """Sets the kinds of the tasks whose kind the user left open.

        Call it before the state is made: later, `s` stays where it is, and a
        weight whose kind changes does not start at 1.

        Args:
            kinds: Dict from task name to `"regression"` or
                `"classification"`.
        """
        self.inferred_kinds = map_values(_checked_kind, dict(kinds))

    def build(self, losses_shape):
        """Creates what is trained."""
        if self.penalty == "log1p":
            self.deviation = self.add_weight(
                name="deviation",
                shape=losses_shape,
                initializer="ones",
                trainable=True,
                autocast=False,
            )
            return
        # Such that every weight is 1.
        self.log_variance = self.add_weight(
            name="log_variance",
            shape=losses_shape,
            initializer=keras.initializers.Constant(
                [math.log(factor) for factor in self._factors(*losses_shape)]
            ),
            trainable=True,
            autocast=False,
        )

    def call(self, losses, present=None):
        """Adds the penalty and returns the weights."""
        seen = tf.ones_like(losses) if present is None else present
        if self.penalty == "log1p":
            variance = tf.square(tf.convert_to_tensor(self.deviation))
            self.add_loss(tf.reduce_sum(seen * tf.math.log1p(variance)))
            # A step that lands on 0 must not end the training.
            return 0.5 / (variance + SMALLEST_VARIANCE)
        log_variance = tf.convert_to_tensor(self.log_variance)
        self.add_loss(0.5 * tf.reduce_sum(seen * log_variance))
        return self._factors(*losses.shape) * tf.exp(-log_variance)

    def _factors(self, num_tasks):
        kinds = by_task("kind", self.kind, num_tasks, self.task_names)
        tasks = self.task_names or [None] * num_tasks
        inferred = self.inferred_kinds or {}
        return [
            FACTORS[kind or inferred.get(task) or "regression"]
            for kind, task in zip(kinds, tasks, strict=True)
        ]

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        kind = map_values(lambda kind: kind, self.kind)
        own = {"kind": kind, "penalty": self.penalty}
        return {**super().get_config(), **own}


def _checked_kind(kind):
    return kind if kind is None else one_of("kind", kind, FACTORS)
