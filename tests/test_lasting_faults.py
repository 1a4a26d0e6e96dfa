"""Faults that last, and training that is broken off: what comes after."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import (
    differing,
    make_data,
    new_model,
    query_for,
    read,
    state,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)
ROWS = 6
MODEL = {"dropout": 0.3, "batch_norm": True}


def batches(count, without=(), spoilt=(), bad=np.nan):
    """Returns a data set of batches, but for some, and with bad labels."""
    x, y = make_data(count * ROWS)
    for number in spoilt:
        y["stars"][number * ROWS] = bad
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(ROWS)
    kept = [n for n in range(count) if n not in without]
    data = data.enumerate().filter(
        lambda n, _: tf.reduce_any(tf.equal(n, kept))
    )
    data = data.apply(tf.data.experimental.assert_cardinality(len(kept)))
    return data.map(lambda _, batch: batch)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("slaw", np.nan),
        ("gradnorm", np.inf),
        ("pcgrad", np.nan),
        ("uncertainty", np.inf),
    ],
)
def test_bad_numbers_of_one_task_for_a_hundred_steps(name, bad):
    """They leave no trace: not in momenta, moments or weighters."""
    spoilt = range(3, 103)
    model, expected = (
        new_model(name, model={"batch_norm": True}) for _ in range(2)
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        data = batches(106, spoilt=spoilt, bad=bad)
        history = model.fit(data, shuffle=False, verbose=0).history
    assert history["skipped_steps"] == [100.0]
    (message,) = [
        str(w.message) for w in told if issubclass(w.category, UserWarning)
    ]
    assert message.startswith(
        "100 steps of epoch 1 were skipped: the losses of the tasks ['stars'] "
        "were not finite. Parameters and weighter kept their values."
    )
    expected.fit(batches(106, without=spoilt), shuffle=False, verbose=0)
    assert not differing(state(model), state(expected))


@pytest.mark.parametrize("name", ["slaw", "gradnorm"])
def test_a_task_without_labels_for_an_epoch_waits(name):
    """Its head and weight stay; the other tasks go on, and later it does."""
    model = new_model(name, keras.optimizers.SGD(0.05))
    x, y = make_data(4 * ROWS)
    fit = {"x": x, "y": y, "batch_size": ROWS, "shuffle": False, "verbose": 0}
    model.fit(**fit)
    before = read(model.heads["stars"].variables)
    others = read(model.heads["tone"].variables)
    absent = {"stars": np.zeros(4 * ROWS, "float32")}
    data = tf.data.Dataset.from_tensor_slices((x, y, absent)).batch(ROWS)
    history = model.fit(data, shuffle=False, verbose=0).history
    assert np.isnan(history["stars_loss"]).all()
    assert history["skipped_steps"] == [0.0]
    np.testing.assert_equal(read(model.heads["stars"].variables), before)
    moved = zip(read(model.heads["tone"].variables), others, strict=True)
    assert all((new != old).any() for new, old in moved)
    history = model.fit(**fit).history
    assert np.isfinite(history["stars_loss"]).all()
    after = zip(read(model.heads["stars"].variables), before, strict=True)
    assert all((new != old).any() for new, old in after)


class Break(keras.callbacks.Callback):
    """Ctrl-C between two steps."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 6:
            raise KeyboardInterrupt


def unplugged(data):
    """Returns a data set whose seventh element raises, once."""
    seen = []

    def check(step):
        seen.append(step)
        if len(seen) == 7:
            raise OSError("the disk is unplugged")
        return step

    return (
        data.enumerate()
        .map(
            lambda step, batch: (
                tf.numpy_function(check, [step], step.dtype),
                batch,
            )
        )
        .map(lambda _, batch: batch)
    )


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("pcgrad", "data"),
        pytest.param("meta_weighting", "interrupt", marks=pytest.mark.soak),
    ],
)
def test_a_fit_that_is_broken_off(tmp_path, name, fault):
    """By data that raise or by Ctrl-C; BackupAndRestore goes on."""
    data = batches(4)
    arguments = {"epochs": 3, "shuffle": False, "verbose": 0}
    if query_for(name):
        arguments["query_data"] = batches(8).skip(4)

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    expected = new_model(name, model=MODEL)
    expected.fit(data, **arguments)
    broken = new_model(name, model=MODEL)
    with pytest.raises((KeyboardInterrupt, tf.errors.OpError)) as error:
        broken.fit(
            unplugged(data) if fault == "data" else data,
            **arguments,
            callbacks=[backup(), *([Break()] if fault == "interrupt" else [])],
        )
    if fault == "data":
        assert "the disk is unplugged" in str(error.value)
    # It holds the steps that were taken, and can train on.
    assert int(broken.optimizer.iterations) == 6
    broken.fit(data, **{**arguments, "epochs": 1})
    received = new_model(name, seed=5, model=MODEL)
    history = received.fit(data, **arguments, callbacks=[backup()])
    assert history.epoch == [1, 2]
    assert not differing(state(received), state(expected))
