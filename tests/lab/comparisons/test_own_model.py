"""Weighters compared on a user's own model and data."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl
from keras_mtl import weighters
from keras_mtl.data.completion import completed
from keras_mtl.lab.comparisons.own_data import first_batch, of_task, parts_of
from keras_mtl.lab.comparisons.trial import check_made

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 3)).astype("float32")
Y = {"age": X @ [[1.0], [0.0], [0.0]], "tone": (X[:, :1] > 0).astype("float32")}
DATA = {
    "train": (X[:32], {t: y[:32] for t, y in Y.items()}),
    "validation": (X[32:40], {t: y[32:40] for t, y in Y.items()}),
    "test": (X[40:], {t: y[40:] for t, y in Y.items()}),
}
SMALL = {"epochs": 2, "batch_size": 16, "verbose": False}


def make_model(seed):
    model = keras_mtl.MultiTaskModel(
        keras.layers.Dense(4, "tanh"),
        {
            "age": keras.layers.Dense(1),
            "tone": keras.layers.Dense(1, "sigmoid"),
        },
    )
    model.compile(
        # Drawn: from the run's seed, or a comparison could not be resumed.
        keras.optimizers.SGD(0.1 + 0.01 * np.random.random()),
        loss={"age": "mse", "tone": "binary_crossentropy"},
        metrics={"age": ["mae"], "tone": ["accuracy"]},
    )
    return model


def refused(match, make=make_model, data=DATA, **arguments):
    with pytest.raises(ValueError, match=match):
        keras_mtl.compare(make, data, **{**SMALL, **arguments})


def test_a_comparison_of_weighters_on_own_data(tmp_path):
    arguments = {
        **SMALL,
        "weighters": ["uniform", weighters.SLAW(momentum=0.5)],
        "single_task": True,
        "seeds": 2,
        "metric": {"age": ["mae", "loss"], "tone": "accuracy"},
        "out": tmp_path / "runs",
    }
    found = keras_mtl.compare(make_model, DATA, **arguments)
    assert found.methods == ("stl", "uniform", "slaw")
    assert not found.troubles
    assert len(found.cells) == 6
    for cell in found.of_method("stl").values():
        assert {task: [*of] for task, of in cell.scores.items()} == {
            "age": ["mae", "loss"],
            "tone": ["accuracy"],
        }
        assert np.isfinite(
            [v for of in cell.scores.values() for v in of.values()]
        ).all()
    # The same run by hand: a plain fit, and the better of two epochs.
    keras.utils.set_random_seed(1)
    model = make_model(1)
    best, states = [], []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: (
            best.append(dict(logs)),
            states.append(model.get_weights()),
        )
    )
    model.fit(
        *DATA["train"],
        validation_data=DATA["validation"],
        weighter=weighters.SLAW(momentum=0.5),
        callbacks=[keep],
        epochs=2,
        batch_size=16,
        verbose=0,
    )
    down = [
        best[1][f"val_age_{m}"] / best[0][f"val_age_{m}"] - 1
        for m in ("mae", "loss")
    ]
    up = best[1]["val_tone_accuracy"] / best[0]["val_tone_accuracy"] - 1
    epoch = int(up - np.mean(down) > 0.0)
    model.set_weights(states[epoch])
    judged = model.evaluate(
        *DATA["test"], batch_size=16, verbose=0, return_dict=True
    )
    slaw = found.of_method("slaw")[1]
    assert slaw.metrics["epoch"] == epoch + 1
    assert slaw.scores["age"]["mae"] == pytest.approx(judged["age_mae"])
    assert slaw.scores["age"]["loss"] == pytest.approx(judged["age_loss"])
    assert slaw.by_task["tone"] == pytest.approx(judged["tone_accuracy"])
    assert slaw.metrics["tasks"] == [*found.tasks]
    by_epoch = [slaw.history[f"{task}_weight"] for task in found.tasks]
    np.testing.assert_array_equal(slaw.weights, np.transpose(by_epoch))
    assert found.higher_is_better == {
        "mae": False,
        "loss": False,
        "accuracy": True,
    }
    page = (tmp_path / "runs" / "report" / "index.html").read_text()
    assert "paired difference to uniform" in page
    assert "Every metric of every task" in page
    losses = [
        cell.scores["age"]["loss"] for cell in found.of_method("slaw").values()
    ]
    assert f"{np.mean(losses):.4f} ±" in page
    # What is there is not run again, and other settings are refused.
    path = tmp_path / "runs" / "cells" / "slaw" / "seed_0.json"
    before = path.stat().st_mtime_ns
    keras_mtl.compare(make_model, DATA, **arguments)
    assert path.stat().st_mtime_ns == before
    config = json.loads(path.read_text())["config"]
    assert config["epochs"] == 2
    assert config["optimizer"]["config"]["momentum"] == 0.0
    refused("epochs is 2 there and 3 here", **{**arguments, "epochs": 3})
    arguments["weighters"] = ["uniform", weighters.SLAW(momentum=0.6)]
    # No more than what differs of a long config.
    differs = "settings: weighter.config.momentum is 0.5 there and 0.6 here. R"
    refused(differs, **arguments)


def test_data_sets_and_a_baseline_of_ones_own(tmp_path):
    sets = [
        tf.data.Dataset.from_tensor_slices(DATA[part]).batch(16)
        for part in ("train", "validation")
    ]
    found = keras_mtl.compare(
        make_model,
        sets,
        weighters={"plain": "uniform", "steep": {"class_name": "dwa"}},
        baseline="plain",
        seeds=1,
        out=tmp_path,
        **SMALL,
    )
    assert found.baseline == "plain"
    assert found.score.label == "validation loss"
    assert not found.score.higher_is_better


def fails(seed):
    if seed == 1:
        raise RuntimeError("out of luck")
    model = make_model(seed)
    if seed == 2:
        model.optimizer.learning_rate = 1e30
        model.run_eagerly = True
    return model


@pytest.mark.filterwarnings("ignore:2 steps of epoch 2 were skipped")
@pytest.mark.filterwarnings("ignore:1 steps of epoch 1 were skipped")
def test_a_run_that_fails_stops_no_other(tmp_path):
    found = keras_mtl.compare(
        fails, DATA, ["uniform"], seeds=3, out=tmp_path, **SMALL
    )
    assert [cell.seed for cell in found.cells] == [0]
    raised, diverged = (trouble.reason for trouble in found.troubles)
    assert raised == "RuntimeError: out of luck"
    assert "of the best epoch, 1, are not finite: ['age_loss=inf'" in diverged


class Batches(keras.utils.PyDataset):
    num_batches = 3

    def __getitem__(self, index):
        return X[:2], {t: y[:2] for t, y in Y.items()}, {"age": [1.0, index]}

    def on_epoch_end(self):
        self.over = True


def test_a_data_set_of_one_task():
    """What trains each task alone says that the others are left out."""
    batches = Batches(workers=2)
    assert parts_of((batches, batches))["train"] is batches
    assert len(first_batch(batches)) == len(batches[0]) == 3
    (tone,), (age,) = (of_task(batches, task) for task in ("tone", "age"))
    _, y, weight = age[2]
    assert y["tone"] is None
    np.testing.assert_array_equal(y["age"], Y["age"][:2])
    assert weight == {"age": [1.0, 2]}
    assert len(tone[0]) == 2
    assert (age.workers, age.num_batches) == (2, 3)
    age.on_epoch_end()
    assert batches.over
    assert completed(make_model(0), tone)[1]["age"] is None
    array = of_task((*DATA["train"], np.ones(32)), "age")
    assert array[2].shape == (32,)


def test_a_model_that_has_learned_already_is_refused():
    encoder = keras.layers.Dense(4)
    encoder.build((None, 3))

    def make(seed):
        head = {"age": keras.layers.Dense(1)}
        model = keras_mtl.MultiTaskModel(encoder, head)
        model.compile("sgd", loss="mse")
        return model

    check_made(make, 0)
    with pytest.raises(ValueError, match=f"layer '{encoder.name}' was part"):
        check_made(make, 1)
    encoder.trainable = False  # As it is, it may serve all.
    check_made(make, 2)


def test_bad_input_ends_before_anything_is_trained(tmp_path):
    out = {"out": tmp_path / "none"}
    refused("names the task 'agee'.*mean 'age'", metric={"agee": "mae"}, **out)
    refused("'age' has no metric 'accuracy'", metric="accuracy", **out)
    refused("'Own' is not registered", weighters=["uniform", Own()], **out)
    refused("takes data..validation", validation_split=0.5, **out)
    refused("takes data..query", query_data=DATA["test"], **out)
    refused("has no validation part", data=DATA["train"], **out)
    refused("Labels must be a dict", data=[(X, [X, X])] * 2, **out)
    unknown = [(X, {**Y, "age": np.nan * Y["age"]}), DATA["validation"]]
    refused("'age' has a label that its loss cannot", data=unknown, **out)
    refused(r"no metric for the tasks \['tone'\]", metric={"age": "mae"}, **out)
    refused("baseline 'mgda' is none of", baseline="mgda", **out)
    upgrad = weighters.UPGrad(preference={"agee": 1.0})
    refused("must name the model's", weighters=["uniform", upgrad], **out)
    sets = [tf.data.Dataset.from_tensors(DATA["train"])] * 2
    learns = {"data": sets, "weighters": ["uniform", "moml"]}
    refused("'moml' learns from query rows.*Pass data..qu", **learns, **out)
    refused("called 'slaw'. Pass a dict", weighters=["slaw", "slaw"], **out)
    refused("Unknown weighter 'slav'", weighters=["uniform", "slav"], **out)
    refused("Missing: .'validation'", data={"train": DATA["train"]}, **out)
    refused("must return a keras_mtl.MultiTaskModel", lambda seed: seed, **out)
    refused("must return a compiled", not_compiled, **out)
    refused("`callbacks` of fit", callbacks=[], **out)
    refused("jobs=1 otherwise", lambda seed: make_model(seed), jobs=2, **out)
    refused("which is no metric", higher_is_better={"auc": True}, **out)
    assert not (tmp_path / "none").exists()


class Own(weighters.Weighter):
    def call(self, losses):
        return losses


def not_compiled(seed):
    head = {"age": keras.layers.Dense(1)}
    return keras_mtl.MultiTaskModel(keras.layers.Dense(2), head)


def test_weighters_times_architectures(tmp_path):
    asked = []

    def make(seed, architecture):
        asked.append(architecture)
        units = {"narrow": 1, "wide": 9}[architecture]
        model = keras_mtl.MultiTaskModel(
            keras.layers.Dense(units), {"age": keras.layers.Dense(1)}
        )
        model.compile("sgd", loss="mse", jit_compile=False)
        return model

    arguments = {
        **SMALL,
        "epochs": 1,
        "architectures": ["narrow", "wide"],
        "seeds": 1,
        "out": tmp_path,
    }
    data = {name: (x, {"age": y["age"]}) for name, (x, y) in DATA.items()}
    found = keras_mtl.compare(make, data, **arguments)
    names = ("uniform", "slaw", "wide+uniform", "wide+slaw")
    assert found.methods == names
    # A model is made of each to be looked at, and one for each run.
    assert asked == ["narrow", "wide", *["narrow"] * 2, *["wide"] * 2]
    # Kernels and biases, by hand.
    sizes = [
        json.loads((tmp_path / f"cells/{name}/seed_0.json").read_text())[
            "num_parameters"
        ]
        for name in names
    ]
    assert sizes == [3 + 1 + 1 + 1] * 2 + [27 + 9 + 9 + 1] * 2


@pytest.mark.parametrize("given", ["mmoe", [], ["a", "a"], ["a/b"], [None]])
def test_architectures_are_names(given):
    refused("architecture", make=None, architectures=given)
