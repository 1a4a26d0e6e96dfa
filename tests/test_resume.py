"""An interrupted run, saved and loaded, goes on bit for bit."""

import re

import keras
import numpy as np
import pytest

from keras_mtl import weighters
from tests import warm
from tests.resume import INTERRUPTED, STEPS, train
from tests.training import (
    LOSSES,
    differing,
    make_data,
    new_model,
    read,
    state,
    step,
)

pytestmark = pytest.mark.filterwarnings(
    # Keras hands its variables to NumPy in a way that NumPy 2 deprecates.
    "ignore:__array__ implementation:DeprecationWarning"
)
# One that trains its own, one that draws, one with an optimizer of its own; the
# conformance suite saves and loads every class.
RESUMED = ("uncertainty", "pcgrad", "gradnorm")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, _as_users_run):
    """Returns final states without and with an interruption, by weighter."""
    folder = tmp_path_factory.mktemp("runs")
    expected = {}
    for name in RESUMED:
        model = new_model(
            name,
            keras.optimizers.Adam(0.01, global_clipnorm=5.0),
            model={"dropout": 0.3, "batch_norm": True},
        )
        train(model, 0, INTERRUPTED)
        model.save(folder / f"{name}.keras")
        train(model, INTERRUPTED, STEPS)
        expected[name] = state(model)
    done = warm.run("-m", "tests.resume", folder)
    assert done.returncode == 0, done.stderr
    received = {name: np.load(folder / f"{name}.npz") for name in expected}
    return received, expected


@pytest.mark.slow
@pytest.mark.parametrize("name", RESUMED)
def test_a_new_process_goes_on_bit_for_bit(finished, name):
    received, expected = (runs[name] for runs in finished)
    assert not differing(dict(received), expected)


@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
@pytest.mark.parametrize("name", ["uncertainty", "gradnorm"])
def test_state_follows_the_names_of_the_tasks(tmp_path, name, ending):
    """Heads, weighter and optimizer, whatever the order of the heads."""
    path = tmp_path / f"run.{ending}"
    metrics = {"class": ["accuracy"], "stars": ["mae"]}
    saved = new_model(name, model={"dropout": 0.3}, metrics=metrics)
    for number in range(3):
        step(saved, number)
    saved.epoch.assign(2.0)
    save = saved.save if ending == "keras" else saved.save_weights
    save(path)
    tasks = ("class", "tone", "stars")
    loaded = new_model(
        name,
        seed=5,
        model={"dropout": 0.3, "tasks": tasks},
        metrics=metrics,
    )
    step(loaded, 9)

    for _ in range(2):  # Loading twice does not reorder twice.
        loaded.load_weights(path)
        assert tuple(loaded.task_weights) == tasks
        assert loaded.task_weights == saved.task_weights
        assert float(loaded.epoch.numpy()) == 2.0
        assert not differing(state(loaded), state(saved))
    step(saved, 10)
    step(loaded, 10)
    for key, value in state(saved).items():
        np.testing.assert_allclose(
            state(loaded)[key], value, rtol=1e-4, atol=1e-6, err_msg=key
        )


@pytest.mark.filterwarnings("ignore:A total of .* could not be loaded")
def test_weights_saved_with_another_weighter(tmp_path):
    """One warning; what has the same name is loaded, the optimizer too."""
    path = tmp_path / "run.weights.h5"
    saved, loaded = new_model("slaw"), new_model("dwa", seed=5)
    step(saved, 0)
    step(loaded, 1)
    saved.save_weights(path)
    before = read(loaded.weighter.variables)
    with pytest.warns(UserWarning, match="state of DWA .in the file: SLAW"):
        loaded.load_weights(path)
    parts = loaded.optimizer.variables, saved.optimizer.variables
    np.testing.assert_equal(*map(read, parts))
    for _ in range(2):
        np.testing.assert_equal(read(loaded.weighter.variables), before)
        parts = loaded.encoder.variables, saved.encoder.variables
        np.testing.assert_equal(*map(read, parts))
        step(loaded, 2)
        before = read(loaded.weighter.variables)
        loaded.load_weights(path, skip_mismatch=True)


FEW, MANY = ("stars", "tone"), ("tone", "class", "stars")


@pytest.mark.parametrize(
    ("old", "new", "name", "ending"),
    [
        (FEW, MANY, "slaw", "weights.h5"),
        (MANY, FEW, "slaw", "keras"),
        (FEW, MANY, "smoothed", "keras"),
        (MANY, FEW, "uncertainty", "weights.h5"),
    ],
)
def test_a_task_more_or_less_keeps_the_state_of_the_others(
    tmp_path, old, new, name, ending
):
    """Heads, weighter, what is inside of it, and slots of the optimizer."""
    path = tmp_path / f"run.{ending}"

    def make(tasks, seed):
        losses = {task: LOSSES[task] for task in tasks}
        weighter = weighters.Smoothed("slaw") if name == "smoothed" else name
        return new_model(
            weighter, seed=seed, model={"tasks": tasks}, loss=losses
        )

    def one_step(model):
        x, y = make_data(12, 1)
        y = {task: y[task] for task in model.task_names}
        model.train_on_batch(x, y)

    saved, loaded = make(old, 0), make(new, 5)
    one_step(saved)
    one_step(loaded)
    one_step(loaded)
    fresh = read(loaded.weighter.variables)
    fresh_slots = slots(loaded)
    own = read(loaded.heads["class"].weights) if "class" in new else ()
    (saved.save if ending == "keras" else saved.save_weights)(path)
    message = r"head 'class'.*optimizer's state of \['class'"
    message = message if "class" in new else "head 'class' of the file. All"
    with pytest.warns(UserWarning, match=message) as told:
        loaded.load_weights(path)
    assert sum("Not loaded" in str(w.message) for w in told) == 1
    common = [task for task in new if task in old]
    for task in common:
        parts = loaded.heads[task].weights, saved.heads[task].weights
        np.testing.assert_equal(*map(read, parts))
        assert loaded.task_weights[task] == saved.task_weights[task]
    np.testing.assert_equal(
        *(read(m.encoder.variables) for m in (loaded, saved))
    )
    states = saved.weighter.variables, loaded.weighter.variables, fresh
    for before, after, unknown in zip(*states, strict=True):
        before, after = np.array(before), np.array(after)
        if before.shape != (len(old),):
            continue
        for place, task in enumerate(loaded.task_names):
            if task in old:
                expected = before[saved.task_names.index(task)]
            else:
                expected = unknown[place]
            assert after[place] == expected
    if "class" in new:
        np.testing.assert_equal(read(loaded.heads["class"].weights), own)
    kept = slots(saved)
    for slot, value in slots(loaded).items():
        if "log_variance" in slot:
            places = [saved.task_names.index(task) for task in new]
            np.testing.assert_equal(value, kept[slot][places])
        else:
            theirs = fresh_slots if "class_head" in slot else kept
            np.testing.assert_equal(value, theirs[slot], err_msg=slot)
    one_step(loaded)  # Goes on.


def slots(model):
    """Returns the optimizer's state by name, without the copy's number."""
    variables = model.optimizer.variables
    names = [v.path.partition("/")[2] for v in variables]
    numbers = r"^multi_task_model_(\d+_)?|(?<=^uncertainty)_\d+"
    names = [re.sub(numbers, "", name) for name in names]
    return dict(zip(names, read(variables), strict=True))


@pytest.mark.parametrize(
    ("first", "second"),
    [("uniform", "uncertainty"), ("uncertainty", "slaw"), ("dwa", "mgda")],
)
def test_fit_with_another_weighter(tmp_path, first, second):
    """The optimizer keeps what it has, and the model saves and loads."""
    model = new_model(first, keras.optimizers.AdamW(0.01, weight_decay=0.5))
    x, y = make_data()
    model.fit(x, y, epochs=3, verbose=0)
    before, kept = slots(model), read(model.encoder.variables)

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            after = slots(self.model)
            for name in before.keys() & after.keys():
                np.testing.assert_array_equal(after[name], before[name])
            changed = before.keys() ^ after.keys()
            assert all("log_variance" in name for name in changed)
            assert bool(changed) == ("uncertainty" in (first, second))
            np.testing.assert_equal(read(self.model.encoder.variables), kept)

    model.fit(x, y, weighter=second, verbose=0, callbacks=[Look()])

    assert type(model.weighter) is weighters.CATALOGUE[second]
    assert int(model.optimizer.iterations) == 4
    model.save(tmp_path / "swapped.keras")
    loaded = keras.saving.load_model(tmp_path / "swapped.keras")
    assert not differing(state(loaded), state(model))
    step(model, 4)
    step(loaded, 4)
    assert not differing(state(loaded), state(model))


def test_weight_decay_leaves_the_weighter_alone():
    """And what the user excluded stays excluded, also after a change."""
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = new_model("uniform", optimizer)
    x, y = make_data()
    model.fit(x, y, verbose=0)
    model.fit(x, y, weighter="uncertainty", verbose=0)
    decays = {
        variable.path: model.optimizer._use_weight_decay(variable)
        for variable in model.trainable_variables
    }
    assert not any(decays[p] for p in decays if "log_variance" in p)
    assert not any(decays[p] for p in decays if "bias" in p)
    assert all(decays[p] for p in decays if "kernel" in p)
