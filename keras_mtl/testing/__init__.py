"""Tests for weighters and architectures of your own."""

from keras_mtl.testing.check_architecture import check_architecture
from keras_mtl.testing.check_weighter import check_weighter, weighter_checks
from keras_mtl.testing.replicas import two_replicas
from keras_mtl.testing.trial import ConformanceError

__all__ = [
    "ConformanceError",
    "check_architecture",
    "check_weighter",
    "two_replicas",
    "weighter_checks",
]
