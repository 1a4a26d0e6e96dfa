"""Three predictions for every pixel of an image."""

import keras
import numpy as np
from keras import layers

from keras_mtl.lab.benchmarks.workloads.workload import Workload
from keras_mtl.model import MultiTaskModel

NUM_CLASSES = 13


def resnet(batch_size=32, jit_compile="auto", size=32, filters=(16, 32, 64)):
    """Returns a workload of classes, depth and normals, as on NYUv2.

    Args:
        batch_size: Integer, images.
        jit_compile: Boolean or `"auto"`.
        size: Integer, pixels along a side; every stage but the first halves
            them.
        filters: Tuple of integers, filters of the residual stages.
    """
    image = keras.Input((size, size, 3), name="image")
    features = layers.Conv2D(filters[0], 3, padding="same")(image)
    for stage, width in enumerate(filters):
        features = _residual(features, width, strides=2 if stage else 1)
    scale = 2 ** (len(filters) - 1)
    heads = {
        "classes": _head("classes", NUM_CLASSES, scale, "softmax"),
        "depth": _head("depth", 1, scale),
        "normals": _head("normals", 3, scale),
    }
    model = MultiTaskModel(keras.Model(image, features), heads)
    model.compile(
        keras.optimizers.Adam(3e-4),
        loss={
            "classes": "sparse_categorical_crossentropy",
            "depth": "mean_absolute_error",
            "normals": "cosine_similarity",
        },
        jit_compile=jit_compile,
    )
    rng = np.random.default_rng(0)
    pixels = (batch_size, size, size)
    y = {
        "classes": rng.integers(0, NUM_CLASSES, pixels),
        "depth": rng.random((*pixels, 1)).astype("float32"),
        "normals": rng.normal(size=(*pixels, 3)).astype("float32"),
    }
    x = rng.random((*pixels, 3)).astype("float32")
    return Workload("resnet", model, x, y)


def _residual(features, width, strides):
    short = layers.Conv2D(width, 1, strides)(features)
    for stride in (strides, 1):
        features = layers.BatchNormalization()(features)
        features = layers.ReLU()(features)
        features = layers.Conv2D(width, 3, stride, padding="same")(features)
    return layers.Add()([short, features])


def _head(name, channels, scale, activation=None):
    parts = [
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.UpSampling2D(scale),
        layers.Conv2D(channels, 1, activation=activation),
    ]
    return keras.Sequential(parts, name=name)
