"""Another weighter's weights, computed only in every n-th step."""

import contextlib

import keras
import tensorflow as tf

from keras_mtl.checks import integer
from keras_mtl.precision import keep_if
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.periodic import Periodic
from keras_mtl.weighters.wrapper import Wrapper


@keras.saving.register_keras_serializable(package="keras_mtl")
class Every(Periodic, Wrapper):
    """Another weighter that measures and learns in every n-th step only.

    Between these steps the last weights hold, and a step costs what one with
    constant weights does, and a second pass over the heads. For weighters that
    read gradients; one of losses is as cheap as constant weights already, and
    only gets staler losses.

    On plain arrays every call takes signals, and those between are ignored.

    Example:

    >>> every = Every("log_losses", steps=2)
    >>> every(losses=[0.5, 1.0])  # -> [2.0, 1.0]
    >>> every(losses=[0.1, 0.1])  # held -> [2.0, 1.0]
    >>> every(losses=[0.1, 0.1])  # -> [10.0, 10.0]

    Args:
        weighter: `Weighter`, its name, or a config dict.
        steps: Integer, at least 1, from one measurement to the next.

    Call arguments:
        **signals: Those of the inner weighter, and `present`. A task that is
            absent from a step that measures keeps its weight, at first 1.

    Returns:
        `(K,)` float32 weights, of the inner weighter's scale.

    Raises:
        ValueError: If `steps` is out of range, or if the inner weighter holds
            its weights itself or is trained by an optimizer.

    Reference:
        - [Navon et al., 2022](https://arxiv.org/abs/2202.01017), whose
          method has it built in
    """

    own_needs = ("present",)

    def __init__(
        self, weighter: Weighter | str | dict, steps: int = 10, **kwargs
    ):
        super().__init__(weighter, **kwargs)
        self.steps = self.period = integer("steps", steps, 1)
        for inner in self.inside():
            if isinstance(inner, Periodic) and inner.period > 1:
                other = isinstance(inner, Every)
                raise ValueError(
                    "Every cannot go around "
                    f"{'another Every' if other else inner.described}. "
                    "Multiply the two numbers of steps. Received: "
                    f"{steps} and {inner.period}"
                )

    def build(self):
        """Creates the count of steps, and the heads' weights."""
        if self.weighter.trainable_variables:
            inner = type(self.weighter).__name__
            raise ValueError(
                f"Every cannot hold the weights of {inner}, which the "
                "optimizer trains in each step. Use it alone: it measures "
                "nothing but the losses."
            )
        self.start_period()

    def call(self, **signals):
        """Returns the inner weighter's weights, or the latest ones."""
        with _keeping(self.weighter, unless=self.is_due()):
            shared, heads = self.inner_weights(signals)[:2]
        return self.held(shared, heads, signals.get("present"))

    def observe(self, **signals):
        """Lets the inner weighter learn from a step that measured."""
        measured = tf.equal(tf.convert_to_tensor(self.count), 1 % self.steps)
        with _keeping(self.weighter, unless=measured):
            self.weighter.observe(**signals)
        return tf.convert_to_tensor(self.task_weights)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "steps": self.steps}


@contextlib.contextmanager
def _keeping(weighter, unless):
    """Puts the state of a weighter back at the end, unless told otherwise."""
    state = weighter.variables
    before = [tf.convert_to_tensor(variable) for variable in state]
    yield
    keep_if(unless, state, before)
