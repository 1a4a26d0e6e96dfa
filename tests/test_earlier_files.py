"""Models that earlier releases saved; the files are written by release 0.1.0.

A model of five inputs, eight hidden units, four classes `a` and a binary task
`b`, trained for one epoch on the 64 rows below; `expected.json` has what 0.1.0
predicted then, and the task weights of that epoch and the next one.
"""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

FOLDER = Path(__file__).parent / "saved_by_0_1_0"


@pytest.mark.parametrize("name", ["encoder_and_heads", "functional"])
def test_a_model_of_0_1_0_predicts_and_trains_on_as_it_did(name):
    expected = json.loads((FOLDER / "expected.json").read_text())[name]
    x = np.random.default_rng(0).normal(size=(64, 5)).astype("float32")
    y = {"a": np.arange(64) % 4, "b": (x[:, :1] > 0).astype("float32")}
    model = keras.models.load_model(FOLDER / f"{name}.keras")
    found = model.predict_on_batch(x[:2])["a"]
    np.testing.assert_allclose(found, expected["a"], rtol=1e-5)
    assert model.task_weights == pytest.approx(expected["weights"], rel=1e-6)
    model.fit(x, y, shuffle=False, verbose=0)
    assert model.task_weights == pytest.approx(expected["next"], rel=1e-5)
