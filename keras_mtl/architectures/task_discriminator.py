"""An adversary that guesses a row's task from the shared features."""

from collections.abc import Iterable, Sequence

import keras
import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.architectures.binding import BoundToTasks
from keras_mtl.checks import at_least, integer
from keras_mtl.layers.gradient_reversal import reverse_gradient


@keras.saving.register_keras_serializable(package="keras_mtl")
class TaskDiscriminator(BoundToTasks):
    """Classifies rows by task, behind a gradient reversal.

    `MultiTaskModel(encoder, heads, discriminator=TaskDiscriminator())` trains
    it on tasks with separate inputs. It learns to tell from the features that
    the tasks share which task a row belongs to, and the encoder learns to
    prevent it. The mean cross-entropy over all rows of the (global) batch,
    labelled or not, is added to the objective; no weighter scales it. History
    has it as `discriminator_loss`. Nothing but training runs it.

    With a threshold, the encoder is trained against the discriminator only in
    steps where this loss is above it. That is our reading of Mao et al., 2020.
    Chance is `log K` for K tasks of as many rows, so that a useful threshold
    lies between 0 and `log K`: below it, the features tell so much about the
    task that the encoder is not asked to hide it.

    Example:

    >>> MultiTaskModel(encoder, heads, discriminator=TaskDiscriminator())

    Args:
        hidden_units: Tuple of integers, units of dense layers (ReLU) before
            the classification.
        weight: Float, at least 0, the paper's `λ`. Multiplies the loss in the
            objective.
        threshold: Float, at least 0, in nats, or `None` to train the encoder
            in every step. The discriminator itself always trains.
        task_names: List of the names to tell apart; the model's by default.

    Call arguments:
        features: `(B, D)`, the features that tasks share.
        strength: Float scalar, by which the turned gradient is multiplied.

    Returns:
        `(B, K)` logits, tasks in the order of their sorted names.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Liu et al., 2017](https://aclanthology.org/P17-1001)
        - [Mao et al., 2020](https://aclanthology.org/2020.acl-main.388)
    """

    def __init__(
        self,
        hidden_units: Sequence[int] = (),
        weight: float = 0.05,
        threshold: float | None = None,
        task_names: Iterable[str] | None = None,
        **kwargs,
    ):
        super().__init__(task_names, **kwargs)
        self.hidden_units = tuple(
            integer("hidden_units", units, 1) for units in hidden_units
        )
        self.weight = at_least("weight", weight, 0.0)
        if threshold is not None:
            threshold = at_least("threshold", threshold, 0.0)
        self.threshold = threshold

    def checked_names(self, task_names):
        """Returns the names of the tasks to tell apart, or raises."""
        names = tuple(sorted(task_names))
        if len(names) < 2:
            raise ValueError(
                "A task discriminator needs at least two tasks to tell apart. "
                f"Received: {list(names)}"
            )
        if "discriminator" in names:
            raise ValueError(
                "The task name 'discriminator' is taken by the loss of the "
                "task discriminator in History. Rename the task."
            )
        return names

    def build(self, features_shape):
        """Creates the layers for features `(B, D)`."""
        self.require_tasks()
        self._layers_in_order = [
            keras.layers.Dense(
                units, "relu", dtype=self.dtype_policy, name=f"hidden_{number}"
            )
            for number, units in enumerate(self.hidden_units)
        ]
        self._layers_in_order.append(
            keras.layers.Dense(
                len(self.task_names), dtype=self.dtype_policy, name="logits"
            )
        )
        for layer in self._layers_in_order:
            layer.build(features_shape)
            features_shape = layer.compute_output_shape(features_shape)

    def build_for(self, features):
        """Creates the layers for one task's features."""
        leaves = keras.tree.flatten(features)
        sizes = [_size(leaf.shape) for leaf in leaves]
        if None in sizes:
            raise ValueError(
                "A task discriminator needs shared features of known size. "
                f"Received: shapes {[tuple(leaf.shape) for leaf in leaves]}. "
                "End the encoder with a pooling or Dense layer."
            )
        self.build((None, sum(sizes)))

    def call(self, features, strength=1.0):
        """Returns logits, behind the gradient reversal."""
        features = reverse_gradient(features, strength)
        for layer in self._layers_in_order:
            features = layer(features)
        return features

    def losses_of(self, features):
        """Returns the loss of a batch, and what to add to the objective.

        Args:
            features: Dict from task name to this replica's shared features,
                tensors or structures of them.

        Returns:
            Float32 scalar, the mean cross-entropy over the global batch,
            without a gradient. And a float32 scalar of `weight` times that
            value, whose gradients' mean over the replicas is that of the
            global batch.
        """
        rows, labels = self._rows(features)
        local = self._cross_entropy(rows, labels, strength=1.0)
        number = tf.cast(tf.size(labels), tf.float32)
        totals = distribution.all_sum(tf.stack([local, number]))
        total, number = tf.unstack(tf.stop_gradient(totals))
        mean = tf.math.divide_no_nan(total, number)
        if self.threshold is not None:
            # Only now it is known whether to train the encoder.
            strength = tf.cast(mean > self.threshold, tf.float32)
            local = self._cross_entropy(rows, labels, strength)
        share = tf.math.divide_no_nan(local, number)
        share *= distribution.num_replicas()
        share += tf.stop_gradient(mean - share)
        return mean, self.weight * share

    def get_config(self):
        """Returns the arguments to make this discriminator again."""
        return {
            **super().get_config(),
            "hidden_units": list(self.hidden_units),
            "weight": self.weight,
            "threshold": self.threshold,
            "task_names": self.task_names and list(self.task_names),
        }

    def _cross_entropy(self, rows, labels, strength):
        logits = tf.cast(self(rows, strength=strength), tf.float32)
        values = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_sum(values)

    def _rows(self, features):
        """Returns all tasks' features `(B, D)`, and the tasks' numbers."""
        rows = [_flat(part) for part in features.values()]
        labels = [
            tf.fill([tf.shape(part)[0]], self.task_names.index(task))
            for task, part in zip(features, rows, strict=True)
        ]
        return tf.concat(rows, axis=0), tf.concat(labels, axis=0)


def _flat(features):
    leaves = keras.tree.flatten(features)
    flat = [
        tf.reshape(leaf, [tf.shape(leaf)[0], _size(leaf.shape)])
        for leaf in leaves
    ]
    return tf.concat(flat, axis=1)


def _size(shape):
    """Returns the number of values in a row, or `None`."""
    return tf.TensorShape(shape[1:]).num_elements()
