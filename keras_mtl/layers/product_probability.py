"""The probability that several things happen, from their logits."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_mtl")
class ProductProbability(keras.layers.Layer):
    """`Π_i sigmoid(a_i)` of logits, with a loss that does not lose digits.

    A click that leads to a purchase: `p_ctcvr = p_ctr p_cvr`, trained on all
    impressions, while `p_cvr` is served and has no labels of its own (ESMM).
    Keras' binary cross entropy takes the logits of an output where it has
    them, as for a sigmoid: that of the product is
    `log p - log(1 - p)` with `log p = -Σ softplus(-a_i)`. A product of
    probabilities close to 0 or 1 would be rounded to them.

    Example:

    >>> click, buy = keras.layers.Dense(1)(x), keras.layers.Dense(1)(x)
    >>> both = ProductProbability(name="ctcvr")([click, buy])

    Args:
        logits: Boolean. If true, the logit of the product is returned, for
            losses with `from_logits=True`; by default, the probability.

    Call arguments:
        inputs: List of logits of one shape, at least one.

    Returns:
        Float32 tensor of that shape.

    Raises:
        ValueError: If the inputs are no list.

    Reference:
        - [Ma et al., 2018](https://arxiv.org/abs/1804.07931)
    """

    def __init__(self, logits: bool = False, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.logits = bool(logits)

    def build(self, input_shape):
        """Checks that there are several inputs."""
        if not isinstance(input_shape, list | tuple) or not all(
            isinstance(shape, list | tuple) for shape in input_shape
        ):
            raise ValueError(
                "ProductProbability multiplies the probabilities of a list of "
                f"logits. Received: inputs of shape {input_shape}"
            )

    def call(self, inputs):
        """Returns the product."""
        logs = [ops.log_sigmoid(logit) for logit in inputs]
        log_p = sum(logs[1:], logs[0])
        logit = log_p - log_of_rest(inputs, log_p)
        if self.logits:
            return logit
        probability = ops.exp(log_p)
        # As Keras' sigmoid leaves it, for losses.
        probability._keras_logits = logit
        return probability

    def compute_output_shape(self, input_shape):
        """Returns the shape of one input."""
        return input_shape[0]

    def get_config(self):
        """Returns the arguments to make this layer again."""
        return {**super().get_config(), "logits": self.logits}


def log_of_rest(logits, log_p):
    """Returns `log(1 - p)` of a product p, exact at either end.

    Args:
        logits: List of the factors' logits.
        log_p: `log p`.
    """
    # A branch that is not taken must have a finite gradient, too.
    tiny, small = log_p > -1e-4, log_p > -0.6931472
    near = ops.where(ops.logical_or(tiny, ops.logical_not(small)), -0.5, log_p)
    far = ops.where(small, -1.0, log_p)
    rest = ops.where(
        small,
        ops.log(ops.negative(ops.expm1(near))),
        ops.log1p(ops.negative(ops.exp(far))),
    )
    # Near p = 1 the factors' own complements add up: 1 - p = -log p + ...
    logs = [_log_softplus(-logit) for logit in logits]
    first = ops.logsumexp(ops.stack(logs), axis=0)
    first = ops.add(first, ops.log1p(ops.where(tiny, log_p / 2.0, 0.0)))
    return ops.where(tiny, first, rest)


def _log_softplus(z):
    """Returns `log softplus(z)`, which is z where that underflows."""
    low = z < -15.0
    return ops.where(low, z, ops.log(ops.softplus(ops.where(low, 0.0, z))))
