"""Initial values of heads that are stacked in one variable."""

from keras import initializers, ops

# Their entries do not depend on the shape.
_ELEMENTWISE = (
    *(initializers.Zeros, initializers.Ones, initializers.RandomNormal),
    *(initializers.RandomUniform, initializers.TruncatedNormal),
)


def initial_heads(initializer, shape, dtype):
    """Returns initial values `(K, ..., units)`, each head's as if alone."""
    if isinstance(initializer, _ELEMENTWISE):
        return initializer(shape, dtype=dtype)
    if _scales_with_shape(initializer) and len(shape) == 3:
        # Keras takes the first axis for that of a convolution, and counts K
        # times as many inputs and outputs.
        scaled = initializers.VarianceScaling(
            scale=initializer.scale * shape[0],
            mode=initializer.mode,
            distribution=initializer.distribution,
            seed=initializer.seed,
        )
        return scaled(shape, dtype=dtype)
    clones = [initializer.clone() for _ in range(shape[0])]
    return ops.stack([clone(shape[1:], dtype=dtype) for clone in clones])


def _scales_with_shape(initializer):
    scales = isinstance(initializer, initializers.VarianceScaling)
    return scales and getattr(initializer, "input_axes", None) is None
