"""Heads that predict several tensors, in every way that a step can run."""

import contextlib

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel
from tests.test_cases_labels import BOXES, HALF, KINDS, ROWS, Detector, X, Y

PARTS = {"box": "huber", "kind": "sparse_categorical_crossentropy"}
LABELS = {"det": {"box": BOXES, "kind": KINDS}, "a": Y["a"]}
# One replica's rows have no label of the class.
MASK = HALF * (np.arange(ROWS) < ROWS // 2)


def new_model(weighter, as_tuple=False, strategy=None, **kwargs):
    scope = contextlib.nullcontext() if strategy is None else strategy.scope()
    with scope:
        keras.utils.set_random_seed(0)
        heads = {"det": Detector(as_tuple), "a": keras.layers.Dense(1)}
        encoder = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(5, "tanh")]
        )
        model = MultiTaskModel(encoder, heads)
        weights, metrics = {"box": 2.0}, {"kind": ["accuracy"]}
        optimizer = keras.optimizers.SGD(0.1)
        if keras.config.dtype_policy().name == "mixed_float16":
            # A scale that does not overflow, so that no step is skipped.
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, 256.0)
        model.compile(
            optimizer,
            loss={"det": nested(PARTS, as_tuple), "a": "mse"},
            loss_weights={"det": [2.0, 1.0] if as_tuple else weights},
            metrics={"det": [None, ["accuracy"]] if as_tuple else metrics},
            weighter=weighter,
            **{"jit_compile": False, **kwargs},
        )
    return model


def nested(parts, as_tuple):
    return tuple(parts.values()) if as_tuple else parts


@pytest.mark.parametrize(
    ("weighter", "as_tuple", "ways"),
    [
        ("slaw", True, ("xla", "mixed_float16")),
        ("pcgrad", False, ("replicas",)),
    ],
)
def test_replicas_xla_and_mixed_precision(weighter, as_tuple, ways, strategy):
    """Logs and parameters are those of a plain graph on one device."""
    y = {**LABELS, "det": nested(LABELS["det"], as_tuple)}
    masks = nested({"box": np.ones(ROWS), "kind": MASK}, as_tuple)

    def trained(**kwargs):
        model = new_model(weighter, as_tuple, **kwargs)
        logs = model.fit(
            X,
            y,
            ROWS,
            3,
            0,
            sample_weight={"det": masks},
            shuffle=False,
        ).history
        return logs, [v.numpy() for v in model.encoder.trainable_variables]

    expected, parameters = trained()
    assert np.ptp(expected["det_loss"]) > 0.1
    settings = {
        "xla": (1e-4, {"jit_compile": True}),
        "replicas": (1e-4, {"strategy": strategy}),
        "mixed_float16": (2e-2, {}),
    }
    for way in ways:
        tolerance, kwargs = settings[way]
        if way == "mixed_float16":
            keras.config.set_dtype_policy(way)
        logs, values = trained(**kwargs)
        assert logs.keys() == expected.keys()
        for name, column in expected.items():
            np.testing.assert_allclose(
                logs[name], column, rtol=tolerance, err_msg=name
            )
        for value, wanted in zip(values, parameters, strict=True):
            assert value.dtype == np.float32
            np.testing.assert_allclose(value, wanted, rtol=0, atol=tolerance)
