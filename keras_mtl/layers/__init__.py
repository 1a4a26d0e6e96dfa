"""Layers for models of many tasks."""

from keras_mtl.layers.gradient_reversal import (
    GradientReversal as GradientReversal,
)
from keras_mtl.layers.one_hot_columns import OneHotColumns as OneHotColumns
from keras_mtl.layers.product_probability import (
    ProductProbability as ProductProbability,
)
from keras_mtl.layers.select import Select as Select
from keras_mtl.layers.stacked_heads import StackedHeads as StackedHeads
from keras_mtl.layers.text_cnn import TextCNN as TextCNN
from keras_mtl.layers.unpack_bits import UnpackBits as UnpackBits
