"""Group distributionally robust optimisation, a case of another method."""

from keras_mtl.weighters.bandit_mtl import BanditMTL


def GroupDRO(step_size: float = 0.01, **kwargs) -> BanditMTL:
    """Returns `BanditMTL` without a radius, which is GroupDRO.

    Example:

    >>> GroupDRO(step_size=0.5)(losses=[1.0, 2.0])  # -> [0.755, 1.245]

    Args:
        step_size: Float, above 0. As in `BanditMTL`.
        **kwargs: Keyword arguments of the layer.

    Returns:
        A `BanditMTL`.

    Raises:
        ValueError: If `step_size` is out of range.

    Reference:
        - [Sagawa et al., 2020](https://arxiv.org/abs/1911.08731)
    """
    return BanditMTL(None, step_size, **kwargs)
