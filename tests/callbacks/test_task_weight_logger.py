import csv
import sys

import keras
import numpy as np
import pytest

import keras_mtl
from keras_mtl import MultiTaskModel
from keras_mtl.callbacks import TaskWeightLogger
from keras_mtl.gradients.conflicts import ConflictMeter
from tests.training import TASKS, make_data, new_model, separate

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)


def rows(folder):
    with open(folder / "task_weights.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def column(folder, name):
    return [float(row[name]) for row in rows(folder)]


def scalars(folder):
    """Returns what TensorBoard reads: name -> list of (step, value)."""
    from tensorboard.backend.event_processing import event_accumulator
    from tensorboard.util import tensor_util

    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    return {
        name: [
            (e.step, float(tensor_util.make_ndarray(e.tensor_proto)))
            for e in events.Tensors(name)
        ]
        for name in events.Tags()["tensors"]
    }


@pytest.mark.parametrize("arrange", [lambda data: data, separate])
def test_files_hold_what_history_holds(tmp_path, arrange):
    model, data = new_model("slaw"), arrange(make_data())
    logger = TaskWeightLogger(tmp_path, conflict_data=data)
    fit = {"epochs": 3, "batch_size": 4, "verbose": 0}
    history = model.fit(*data, callbacks=[logger], **fit).history
    assert column(tmp_path, "epoch") == [1, 2, 3]
    assert column(tmp_path, "step") == [3, 6, 9]
    events = scalars(tmp_path)
    for task in TASKS:
        for kind in ("weight", "loss"):
            expected = history[f"{task}_{kind}"]
            assert column(tmp_path, f"{task}_{kind}") == expected
            steps, values = zip(*events[f"task_{kind}/{task}"], strict=True)
            assert steps == (1, 2, 3)
            np.testing.assert_allclose(values, expected, rtol=1e-6)
    final = ConflictMeter(model, data)()
    for name, value in final._asdict().items():
        assert column(tmp_path, name)[-1] == value
        step, logged = events[f"gradient_conflicts/{name}"][-1]
        assert (step, logged) == (3, pytest.approx(value, rel=1e-6))


def test_it_changes_no_step(tmp_path):
    logger = TaskWeightLogger(tmp_path, make_data(), update_freq=1)
    finished = []
    for callbacks in ([], [logger]):
        model = new_model("uniform", model={"dropout": 0.5})
        model.fit(*make_data(), verbose=0, callbacks=callbacks, shuffle=False)
        finished.append(model.get_weights())
    np.testing.assert_equal(*finished)


@pytest.mark.parametrize(
    ("update_freq", "at_once", "steps"),
    [
        (2, 1, [2, 4, 6, 8, 10, 12, 14]),
        # More than an epoch has.
        (7, 1, [7, 14]),
        # Keras returns after the steps 3, 5, 8, 10, 13 and 15.
        (2, 3, [3, 5, 8, 10, 13, 15]),
        (7, 3, [8, 15]),
    ],
)
def test_rows_by_steps(tmp_path, update_freq, at_once, steps):
    model = new_model("slaw", steps_per_execution=at_once)
    latest = {}

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            step = int(self.model.optimizer.iterations)
            weight = self.model.task_weights["tone"]
            latest[step] = weight, logs["tone_loss"]

    callbacks = [TaskWeightLogger(tmp_path, update_freq=update_freq), Look()]
    fit = {"batch_size": 4, "epochs": 3, "verbose": 0, "callbacks": callbacks}
    data = make_data(20)
    model.fit(*data, validation_data=data, **fit)
    assert column(tmp_path, "step") == steps
    assert column(tmp_path, "epoch") == [1 + (step - 1) // 5 for step in steps]
    expected = [latest[step] for step in steps]
    logged = zip(
        column(tmp_path, "tone_weight"),
        column(tmp_path, "tone_loss"),
        strict=True,
    )
    assert list(logged) == expected
    assert {row["mean_cosine"] for row in rows(tmp_path)} == {""}


def test_a_resumed_run_goes_on_and_lost_epochs_make_way(tmp_path):
    def fit(model, epochs):
        logger = TaskWeightLogger(tmp_path)
        model.fit(*make_data(), callbacks=[logger], epochs=epochs, verbose=0)

    model = new_model("slaw")
    fit(model, 2)
    model.save(tmp_path / "model.keras")
    fit(model, 2)  # Killed, say, before it was saved.
    lost = rows(tmp_path)
    assert [row["epoch"] for row in lost] == ["1", "2", "3", "4"]
    fit(keras.saving.load_model(tmp_path / "model.keras"), 1)
    resumed = rows(tmp_path)
    assert [row["epoch"] for row in resumed] == ["1", "2", "3"]
    assert resumed[:2] == lost[:2]
    assert resumed[2]["step"] == "3"


def test_replicas(tmp_path, strategy):
    with strategy.scope():
        model = new_model("slaw")
    data = make_data()
    logger = TaskWeightLogger(tmp_path, data, update_freq=1)
    model.fit(*data, batch_size=6, verbose=0, callbacks=[logger])
    assert column(tmp_path, "step") == [1, 2]
    assert column(tmp_path, "tone_weight")[-1] == model.task_weights["tone"]
    single = new_model("slaw")
    single.set_weights(model.get_weights())
    expected = ConflictMeter(single, data)()
    assert column(tmp_path, "mean_cosine")[-1] == pytest.approx(
        expected.mean_cosine, abs=1e-5
    )


def test_one_task_has_no_conflicts(tmp_path):
    inputs = keras.Input((4,))
    encoder = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    model = MultiTaskModel(encoder, {"only": keras.layers.Dense(1)})
    model.compile("sgd", loss="mse", jit_compile=False)
    data = np.ones((4, 4)), {"only": np.ones(4)}
    logger = TaskWeightLogger(tmp_path, data)
    model.fit(*data, callbacks=[logger], verbose=0)
    assert rows(tmp_path)[0]["mean_cosine"] == ""
    assert set(scalars(tmp_path)) == {"task_weight/only", "task_loss/only"}


def test_bad_input(tmp_path):
    for given in ("batch", 0, 1.5):
        with pytest.raises(ValueError, match=r"`update_freq`.*Received"):
            TaskWeightLogger(tmp_path, update_freq=given)
    plain = keras.Sequential([keras.layers.Dense(1)])
    plain.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"of a MultiTaskModel\. Received"):
        plain.fit(
            np.zeros((2, 1)),
            np.zeros((2, 1)),
            callbacks=[TaskWeightLogger(tmp_path)],
            verbose=0,
        )
    (tmp_path / "task_weights.csv").write_text("epoch,step,other_weight\n")
    with pytest.raises(ValueError, match=r"other tasks.*Pass another log_dir"):
        new_model().fit(
            *make_data(), callbacks=[TaskWeightLogger(tmp_path)], verbose=0
        )


def test_it_says_what_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ValueError, match=r"pip install \"keras-mtl\[report\]"):
        TaskWeightLogger(tmp_path)


def test_cosines_of_pairs(tmp_path):
    model, data = new_model("slaw"), make_data()
    logger = TaskWeightLogger(tmp_path, data, conflicts="pairs")
    model.fit(*data, verbose=0, callbacks=[logger])
    cosines = keras_mtl.task_gradients(model, *data).cosines
    events = scalars(tmp_path)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        name = f"{TASKS[a]}_{TASKS[b]}_cosine"
        expected = pytest.approx(cosines[a, b], rel=1e-5)
        assert column(tmp_path, name) == [expected]
        assert events[f"gradient_conflicts/{name}"] == [(1, expected)]
    with pytest.raises(ValueError, match="Pass conflict_data"):
        TaskWeightLogger(tmp_path, conflicts="pairs")
