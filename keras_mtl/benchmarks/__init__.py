"""How much a weighter costs: step times side by side."""

from keras_mtl.benchmarks.run import benchmark
from keras_mtl.benchmarks.timing import Measurement, Spread

__all__ = ["Measurement", "Spread", "benchmark"]
