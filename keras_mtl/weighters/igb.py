"""Improvable gap balancing."""

import keras

from keras_mtl.checks import integer
from keras_mtl.weighters.epoch_baseline import EpochBaseline


@keras.saving.register_keras_serializable(package="keras_mtl")
class IGB(EpochBaseline):
    """More weight for tasks whose losses are still near those of the start.

    Until epoch `base_epoch` is over the weights are the reciprocal losses.
    From then on they are `K * softmax(losses / base) / losses`, where the base
    is each task's mean loss in that epoch. This is IGBv1, without the
    reinforcement learning of IGBv2.

    Each `fit` that begins at epoch 0 measures the base anew; pass
    `initial_epoch` to go on. A task without a label in the base's epoch takes
    its next loss for it.

    Example:

    >>> igb = IGB()
    >>> igb(losses=[1.0, 4.0], epoch=0)  # reciprocals -> [1.0, 0.25]
    >>> igb(losses=[1.0, 4.0], epoch=1)  # no gap has closed -> [1.0, 0.25]

    Args:
        base_epoch: Integer, at least 0. The epoch, counted from 0, whose mean
            losses are the base.

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
        ValueError: If `base_epoch` is out of range.

    Reference:
        - [Dai et al., 2023](https://arxiv.org/abs/2307.15429)
    """

    def __init__(self, base_epoch: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.base_epoch = integer("base_epoch", base_epoch, 0)
        self.measured_epoch = self.base_epoch

    def scores(self, losses, baseline):
        """Returns the losses relative to the base."""
        return losses / baseline

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "base_epoch": self.base_epoch}
