"""What works without the extras, and what a call says that needs one."""

import pytest

import keras_mtl
from keras_mtl import lab
from tests import warm

# Keras imports `rich` for itself; here it is there for Keras alone.
CORE = """
import sys

import keras
import numpy as np

LAB = ("typer", "rich")
EXTRAS = (*LAB, "matplotlib", "scipy", "sklearn", "tensorflow_datasets")
for name in [n for n in sys.modules if n.split(".")[0] in EXTRAS]:
    del sys.modules[name]
sys.modules.update(dict.fromkeys(EXTRAS))

from keras_mtl import *

x = np.ones((4, 2), "float32")
y = {"a": x[:, :1], "b": x[:, 1:]}
heads = {task: keras.layers.Dense(1) for task in y}
model = MultiTaskModel(keras.layers.Dense(2), heads)
model.compile("sgd", loss="mse", weighter="mgda", run_eagerly=True)
model.fit(x, y, verbose=0)
weights = sum(model.task_weights.values())
assert abs(weights - 1) < 1e-5, weights
for call in (lambda: benchmark(model, x, y), lambda: compare(None, None)):
    try:
        call()
    except ValueError as error:
        print(error)
import keras_mtl_command

keras_mtl_command.main()
"""


def test_the_core_trains_without_any_extra_and_the_rest_names_it():
    done = warm.run("-c", CORE)
    assert done.stdout.splitlines() == [
        "benchmark needs rich, not installed here. Run: "
        'pip install "keras-mtl[lab]"',
        "compare needs matplotlib and scipy and rich, not installed here. "
        'Run: pip install "keras-mtl[report]"',
    ], done.stderr
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "Error: The command line needs typer and rich, not installed here. "
        'Run: pip install "keras-mtl[lab]"'
    )


def test_the_entrance_of_the_laboratory_is_loaded_on_demand():
    assert set(lab.__all__) == set(lab.ENTRANCE)
    for name in lab.__all__:
        assert getattr(lab, name).__name__ == name
    assert issubclass(lab.ClassificationExperiment, lab.Experiment)
    with pytest.raises(AttributeError, match="has no attribute 'Experimnt'"):
        _ = lab.Experimnt
    assert not hasattr(keras_mtl, "Experiment")
