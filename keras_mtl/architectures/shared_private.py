"""Shared features beside private ones of each task."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from keras_mtl.architectures.restoring import restored
from keras_mtl.architectures.task_encoder import TaskEncoder
from keras_mtl.checks import at_least, task_name

# Relative distance from the mean below which rounding gives the direction.
RESOLUTION = 1e-5


@keras.saving.register_keras_serializable(package="keras_mtl")
class SharedPrivate(TaskEncoder):
    """A shared extractor, and a private one for each task.

    Each head gets the shared and its task's private features, concatenated.
    While training, a loss keeps the two from saying the same:
    `L_diff = Σ_k ‖S_kᵀ H_k‖²` (Frobenius), of shared features `S_k` and private
    ones `H_k` of the task's rows in the batch, less their mean, each row of
    length 1. No weighter scales it. It is a sum over the rows of a batch:
    under replicas, it is the mean of what each has on its own rows.

    Example:

    >>> encoder = SharedPrivate(
    ...     shared=keras.layers.Dense(8),
    ...     private={"topic": keras.layers.Dense(4), "tone": other_layer},
    ... )
    >>> model = MultiTaskModel(encoder, {"topic": head, "tone": other_head})

    Args:
        shared: Layer or model, inputs -> shared features.
        private: Dict from task name to layer or model, inputs -> private
            features; one for every task of the model.
        difference_weight: Float, at least 0, the paper's `γ`. Multiplies
            `L_diff` in the objective.

    Call arguments:
        inputs: Inputs for all tasks, or a dict of them by task name.

    Returns:
        Dict from task name to `(B, D)` representation.

    Raises:
        ValueError: If an extractor is not a layer, or the weight is negative.

    Reference:
        - [Liu et al., 2017](https://aclanthology.org/P17-1001)
    """

    shares_features = True

    def __init__(
        self,
        shared: keras.layers.Layer,
        private: Mapping[str, keras.layers.Layer],
        difference_weight: float = 0.01,
        **kwargs,
    ):
        _check_extractors(shared, private)
        super().__init__(private, **kwargs)
        self.difference_weight = at_least(
            "difference_weight", difference_weight, 0.0
        )
        # Attributes are saved by name, a dict by position.
        for task in sorted(private):
            setattr(self, f"private_{task}", private[task])
        # In the place of a method: what it returns is the cut.
        self.shared = shared

    def own(self, task, cut, inputs, training=None):
        """Returns shared and private features, and adds their difference."""
        private = getattr(self, f"private_{task}")(inputs)
        if training and self.difference_weight:
            loss = self.difference_weight * difference(cut, private)
            self.add_loss(loss)
        return keras.ops.concatenate([cut, private], axis=-1)

    def get_config(self):
        """Returns the extractors, serialized, and the weight."""
        serialize = keras.saving.serialize_keras_object
        private = {
            task: serialize(getattr(self, f"private_{task}"))
            for task in self.task_names
        }
        return {
            **super().get_config(),
            "shared": serialize(self.shared),
            "private": private,
            "difference_weight": self.difference_weight,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the encoder of `get_config()`."""
        return restored(cls, config, ("shared", "private"))


def difference(shared, private):
    """Returns `‖SᵀH‖²` of centred features whose rows have length 1.

    Args:
        shared: `(B, ...)` float tensor.
        private: `(B, ...)` float tensor of as many rows.

    Returns:
        Float32 scalar, at least 0.
    """
    directions = [_directions(features) for features in (shared, private)]
    crossed = tf.matmul(*directions, transpose_a=True)
    return tf.reduce_sum(tf.square(crossed))


def _directions(features):
    """Returns rows less their mean, of length 1; 0 for a row at the mean."""
    rows = tf.cast(features, tf.float32)
    rows = tf.reshape(rows, [tf.shape(rows)[0], rows.shape[1:].num_elements()])
    mean = tf.math.divide_no_nan(
        tf.reduce_sum(rows, axis=0), tf.cast(tf.shape(rows)[0], tf.float32)
    )
    centred = rows - mean
    squares = tf.reduce_sum(centred**2, axis=1, keepdims=True)
    sizes = tf.reduce_sum(rows**2, axis=1, keepdims=True)
    directed = squares > RESOLUTION**2 * (sizes + tf.reduce_sum(mean**2))
    lengths = tf.sqrt(tf.where(directed, squares, 1.0))
    return tf.where(directed, centred, 0.0) / lengths


def _check_extractors(shared, private):
    if not isinstance(private, dict) or not private:
        raise ValueError(
            "Argument `private` must be a dict with at least one entry, from "
            f"task name to layer. Received: private={private!r}"
        )
    extractors = {"The shared extractor": shared} | {
        f"The private extractor of task {task_name(task)!r}": layer
        for task, layer in private.items()
    }
    for what, layer in extractors.items():
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(
                f"{what} must be a Keras layer or model. Received: {layer!r} "
                f"(of type {type(layer).__name__})"
            )
