"""What holds a weighter's weights between the steps that measure."""

import tensorflow as tf

from keras_mtl.combination import Combination
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.presence import seen_tasks


class Periodic(Weighter):
    """A weighter that measures in every n-th step, and holds in between.

    A subclass calls `start_period` in its `build` and returns from `call` what
    `held` makes of its new weights.

    Attributes:
        period: Integer, the steps from one measurement to the next; with 1
            nothing is ever held. A subclass sets it.
    """

    period = 1

    @property
    def described(self):
        """How the weighter is made, in an error message."""
        return f"{type(self).__name__}(every={self.period})"

    def start_period(self):
        """Creates the count of steps, and the heads' weights."""
        self.count = self.add_state("count", (), dtype="int64")
        self.head_weights = self.add_state(
            "head_weights", self.task_weights.shape, "ones"
        )

    @property
    def due(self):
        """Whether the next step is to measure signals, or `None`: always."""
        return self.is_due() if self.period > 1 else None

    def is_due(self):
        """Returns whether the next call gives new weights."""
        return tf.equal(tf.convert_to_tensor(self.count), 0)

    def hold(self) -> Combination:
        """Returns the weights of a step that measures nothing."""
        self._count_step()
        return Combination(
            tf.convert_to_tensor(self.task_weights),
            tf.convert_to_tensor(self.head_weights),
        )

    def held(self, shared, heads, present) -> Combination:
        """Returns new weights if they are due, or else the latest.

        Args:
            shared: `(K,)` float32, new weights of shared gradients.
            heads: The same of the heads; `None` for `shared`.
            present: `(K,)` float32, or `None`.
        """
        # A weight of 0 for want of a label must not hold where there is one.
        taken = self.is_due() & seen_tasks(shared, present)
        shared = tf.where(taken, shared, self.task_weights)
        of_heads = shared if heads is None else heads
        of_heads = tf.where(taken, of_heads, self.head_weights)
        self.head_weights.assign(of_heads)
        self._count_step()
        return Combination(shared, None if heads is None else of_heads)

    def _count_step(self):
        count = tf.convert_to_tensor(self.count)
        self.count.assign(tf.math.floormod(count + 1, self.period))
