"""Losses that Keras does not have."""

from keras_mtl.losses.cosine_distance import CosineDistance
from keras_mtl.losses.scale_invariant_log import ScaleInvariantLog

__all__ = ["CosineDistance", "ScaleInvariantLog"]
