"""Experts of one task each, those of all tasks in one product."""

import keras
from keras import ops

from keras_mtl.architectures.by_task import ByTask
from keras_mtl.architectures.experts import Experts


class TaskExperts(ByTask, Experts):
    """As many `Dense` experts for each of K tasks.

    Args:
        expert: `Dense` layer, or `Sequential` model of them, not built.
        num_own: Integer, m: experts of each task.
        task_names: Tuple of K strings.

    Call arguments:
        inputs: `(B, D)`, read by all, or `(B, K, D)`, a part for each task.
        training: Boolean.

    Returns:
        `(B, K * m, U)`, one task's after the other's.
    """

    def __init__(self, expert, num_own, task_names, **kwargs):
        super().__init__(expert, len(task_names) * num_own, **kwargs)
        self.num_own, self.task_names = num_own, tuple(task_names)

    def build(self, input_shape):
        """Creates kernels whose parts are the tasks', one after the other."""
        self._apart = len(input_shape) == 3
        super().build((input_shape[0], input_shape[-1]))

    def first_shape(self, width, units):
        """Returns the shape of the first kernels of all experts."""
        if self._apart:
            return len(self.task_names), width, self.num_own * units
        return super().first_shape(width, units)

    def first_product(self, inputs, kernel, units):
        """Returns the products by the first kernels, `(B, K * m, units)`."""
        if not self._apart:
            return super().first_product(inputs, kernel, units)
        by_task = ops.transpose(inputs, (1, 0, 2))
        products = ops.transpose(ops.matmul(by_task, kernel), (1, 0, 2))
        return ops.reshape(products, (-1, self.num_experts, units))

    def get_config(self):
        """Returns the expert, and the tasks that have some."""
        return {
            **keras.layers.Layer.get_config(self),
            "expert": self._config,
            "num_own": self.num_own,
            "task_names": list(self.task_names),
        }
