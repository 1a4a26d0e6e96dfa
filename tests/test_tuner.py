"""KerasTuner searches over a model of many tasks as over any Keras model."""

import functools

import keras
import keras_tuner
import numpy as np
import pytest

import keras_mtl

X = np.arange(16, dtype="float32").reshape(8, 2) / 16
Y = {"a": X[:, :1] * 2, "b": X[:, 1:] - 1}


def build(hp, run_eagerly):
    model = keras_mtl.MultiTaskModel(
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]),
        {task: keras.layers.Dense(1) for task in Y},
    )
    weighter = hp.Choice("weighter", ["uniform", "slaw"])
    model.compile("sgd", loss="mse", weighter=weighter, run_eagerly=run_eagerly)
    return model


# KerasTuner 1.4 asks for the thread in Python's old way.
@pytest.mark.filterwarnings("ignore:currentThread|getName:DeprecationWarning")
@pytest.mark.parametrize(
    ("tuner", "limits"),
    [
        (keras_tuner.RandomSearch, {"max_trials": 2}),
        (keras_tuner.BayesianOptimization, {"max_trials": 2}),
        (
            keras_tuner.Hyperband,
            {"max_epochs": 2, "factor": 2, "hyperband_iterations": 1},
        ),
    ],
)
def test_a_tuner_finds_the_trial_whose_validation_loss_is_least(
    tuner, limits, tmp_path
):
    # What is compiled does not ask who searches: one of them shows it.
    run_eagerly = tuner is not keras_tuner.RandomSearch
    search = tuner(
        functools.partial(build, run_eagerly=run_eagerly),
        objective="val_loss",
        directory=tmp_path,
        overwrite=True,
        seed=1,
        **limits,
    )
    search.search(X, Y, validation_data=(X, Y), epochs=2, verbose=0)
    trials = search.oracle.trials.values()
    assert {t.status for t in trials} == {"COMPLETED"}
    (best,) = search.oracle.get_best_trials()
    assert best.score == min(t.score for t in trials)
    assert {t.hyperparameters["weighter"] for t in trials} <= {
        "uniform",
        "slaw",
    }
    # The model comes back with the weights of its best epoch.
    (model,) = search.get_best_models()
    logs = model.evaluate(X, Y, return_dict=True, verbose=0)
    assert logs["loss"] == pytest.approx(best.score, rel=1e-5)
