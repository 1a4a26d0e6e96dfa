"""The published models give the predictions they gave when they were made."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.lab.datasets import overlaid_digits
from keras_mtl.lab.experiments.demo import serve

FOLDER = Path(__file__).parents[1] / "savedmodels"
# Accuracies on the demo's 1,000 test pictures, as the demo printed them with
# TensorFlow 2.21 and Keras 3.15, and what the export then gave for the true
# classes of a picture that it is not quite sure of.
ACCURACIES = {"left": 0.937, "right": 0.961, "even_sum": 0.930}
PICTURE = 30
PROBABILITIES = {"left": 0.99993, "right": 0.99394, "even_sum": 0.94025}

WITHOUT_KERAS = """
import sys
sys.modules["keras_mtl"] = sys.modules["keras"] = None
import numpy as np
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
with np.load(sys.argv[2]) as images:
    served = model.signatures["serving_default"](image=images["x"])
    left = model.signatures["left"](image=images["x"])
np.savez(sys.argv[3], **served)
assert set(left) == {"left"}
assert sys.modules["keras_mtl"] is sys.modules["keras"] is None
"""


@pytest.fixture(scope="module")
def test_set():
    return overlaid_digits(validation=True)[2]


@pytest.fixture(scope="module")
def served(test_set):
    return serve(FOLDER / "digits", test_set[0])


@pytest.fixture(scope="module")
def loaded():
    return keras.saving.load_model(FOLDER / "digits.keras")


def check(predictions, labels):
    assert set(predictions) == set(ACCURACIES)
    for task, values in predictions.items():
        accuracy = np.mean(np.argmax(values, axis=1) == labels[task])
        # Two pictures may change sides on another machine.
        assert accuracy == pytest.approx(ACCURACIES[task], abs=0.002)
        true = values[PICTURE, labels[task][PICTURE]]
        assert true == pytest.approx(PROBABILITIES[task], abs=1e-4)


def test_saved_model(served, test_set):
    check(served, test_set[1])


def test_keras_model(loaded, served, test_set):
    predictions = loaded.predict(test_set[0], batch_size=1_000, verbose=0)
    check(predictions, test_set[1])
    for task, values in predictions.items():
        np.testing.assert_allclose(values, served[task], atol=1e-5)


def test_keras_model_holds_the_state_of_training(loaded):
    assert int(loaded.optimizer.iterations) == 25 * 50
    weights = np.array([*loaded.task_weights.values()])
    assert weights.sum() == pytest.approx(3.0, abs=1e-4)
    assert weights.std() > 0.1
    rows = np.zeros((4, 8, 12, 1), "float32")
    loaded.train_on_batch(rows, {task: np.zeros(4) for task in ACCURACIES})
    assert int(loaded.optimizer.iterations) == 25 * 50 + 1


def test_saved_model_needs_neither_the_package_nor_keras(
    served, test_set, tmp_path
):
    np.savez(tmp_path / "images.npz", x=test_set[0])
    arguments = FOLDER / "digits", tmp_path / "images.npz", tmp_path / "out.npz"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_KERAS, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    with np.load(arguments[2]) as alone:
        assert set(alone) == set(served)
        for task in served:
            np.testing.assert_allclose(alone[task], served[task], atol=1e-6)


def test_a_signature_for_each_task():
    signatures = tf.saved_model.load(str(FOLDER / "digits")).signatures
    assert set(ACCURACIES) | {"serving_default"} <= set(signatures)


def test_small_enough_to_publish():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    sizes = {path: path.stat().st_size for path in files}
    digits = [sizes[path] for path in files if "digits" in path.parts]
    assert sum(digits) < 500_000
    assert sizes[FOLDER / "digits.keras"] < 500_000
