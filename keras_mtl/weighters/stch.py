"""Smooth Tchebycheff scalarisation of logarithms."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, integer
from keras_mtl.weighters.epoch_baseline import EpochBaseline


@keras.saving.register_keras_serializable(package="keras_mtl")
class STCH(EpochBaseline):
    """Most weight on the task that is worst off, relative to its own past.

    Until epoch `warmup_epochs` is over the weights are the reciprocal losses.
    The mean losses of that epoch are the tasks' nadir; from then on the
    weights are `K * softmax(log(losses / nadir) / smoothing) / losses`. This is
    the form of the authors' code, in logarithms; that of losses themselves is
    `Tchebycheff` with `smoothing`.

    Each `fit` that begins at epoch 0 warms up anew; pass `initial_epoch` to go
    on. A task without a label in the nadir's epoch takes its next loss for it.

    Example:

    >>> stch = STCH(warmup_epochs=0)
    >>> stch(losses=[1.0, 4.0], epoch=0)  # reciprocals -> [1.0, 0.25]
    >>> stch(losses=[1.0, 2.0], epoch=1)  # shares 2/3, 1/3 -> [1.333, 0.333]

    Args:
        smoothing: Float, above 0, the paper's `μ`. The smaller, the more the
            worst task takes; the larger, the closer to reciprocal losses.
        warmup_epochs: Integer, at least 0. The epoch, counted from 0, whose
            mean losses are the nadir.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task, positive.
        epoch: Float32 scalar, the number of epochs finished.
        present: `(K,)` float32, 1 for a task with a label in the batch. The
            softmax is over these, and K their number; an absent task keeps
            its weight.

    Returns:
        `(K,)` float32 weights, non-negative, such that `sum(weights * losses)`
        is K.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Lin et al., 2024](https://arxiv.org/abs/2402.19078)
    """

    def __init__(
        self, smoothing: float = 1.0, warmup_epochs: int = 4, **kwargs
    ):
        super().__init__(**kwargs)
        self.warmup_epochs = integer("warmup_epochs", warmup_epochs, 0)
        self.measured_epoch = self.warmup_epochs
        self.smoothing = above("smoothing", smoothing, 0.0)

    def scores(self, losses, baseline):
        """Returns the logarithms of the losses relative to the nadir."""
        return tf.math.log(losses / baseline) / self.smoothing

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "smoothing": self.smoothing,
            "warmup_epochs": self.warmup_epochs,
        }
        return {**super().get_config(), **own}
