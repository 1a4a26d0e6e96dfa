"""Every weighter goes on bit for bit, whatever kept its state."""

import shutil

import keras
import pytest
import tensorflow as tf

from keras_mtl import weighters
from keras_mtl.data import task_batches
from tests.training import (
    differing,
    make_data,
    new_model,
    query_for,
    separate,
    state,
    step,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)
MODEL = {"dropout": 0.3, "batch_norm": True}
ROWS, BATCH, EPOCHS = 24, 12, 4
# Beside the catalogue: state that only other settings have.
WEIGHTERS = {name: name for name in weighters.CATALOGUE} | {
    "dwa by epoch": {"class_name": "DWA", "config": {"per": "epoch"}}
}
# One that learns by an optimizer, one that draws, one that counts epochs.
QUICK = ("gradnorm", "pcgrad", "dwa by epoch")


def model_with(weighter, seed=0):
    optimizer = keras.optimizers.Adam(0.01, global_clipnorm=5.0)
    return new_model(weighter, optimizer, seed, MODEL)


def fit(model, epochs=EPOCHS, callbacks=(), **kwargs):
    x, y = make_data(ROWS)
    query = query_for(model.weighter)
    if query:  # A data set: arrays would be shuffled.
        kwargs["query_data"] = tf.data.Dataset.from_tensors(query)
    return model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks],
        **kwargs,
    )


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[] if name in QUICK else pytest.mark.soak)
        for name in WEIGHTERS
    ],
)
def run(request, tmp_path_factory):
    """A weighter, the folder of what was kept, and the state at the end."""
    folder = tmp_path_factory.mktemp("run")

    class Keep(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                # It is removed where training ends.
                shutil.copytree(folder / "backup", folder / "kept")
                kept = tf.train.Checkpoint(model=self.model)
                kept.write(str(folder / "checkpoint"))

    callbacks = [
        keras.callbacks.ModelCheckpoint(folder / "{epoch}.keras"),
        keras.callbacks.ModelCheckpoint(
            folder / "{epoch}.weights.h5", save_weights_only=True
        ),
        keras.callbacks.BackupAndRestore(folder / "backup"),
        Keep(),
    ]
    weighter = WEIGHTERS[request.param]
    model = model_with(weighter)
    fit(model, callbacks=callbacks)
    return weighter, folder, state(model)


@pytest.fixture(scope="module")
def other(run):
    """A model that has gone elsewhere."""
    model = model_with(run[0], seed=5)
    step(model, 0)
    return model


def test_backup_and_restore(run):
    weighter, folder, expected = run
    model = model_with(weighter, seed=5)
    backup = keras.callbacks.BackupAndRestore(folder / "kept")
    assert fit(model, callbacks=[backup]).epoch == [2, 3]
    assert not differing(state(model), expected)


def test_a_checkpoint_of_the_model(run):
    _, folder, expected = run
    model = keras.saving.load_model(folder / "2.keras")
    fit(model, initial_epoch=2)
    assert not differing(state(model), expected)


def test_a_checkpoint_of_the_weights(run, other):
    _, folder, expected = run
    other.load_weights(folder / "2.weights.h5")
    fit(other, initial_epoch=2)
    assert not differing(state(other), expected)


def test_a_checkpoint_of_tensorflow(run, other):
    _, folder, expected = run
    status = tf.train.Checkpoint(model=other).read(str(folder / "checkpoint"))
    status.assert_existing_objects_matched()
    fit(other, initial_epoch=2)
    assert not differing(state(other), expected)


@pytest.mark.parametrize("source", ["slices", "task_batches"])
def test_the_position_in_the_data(tmp_path, source):
    """TensorFlow saves that of a pass: shuffled, and by task."""

    def batches():
        x, y = make_data(ROWS)
        if source == "slices":
            data = tf.data.Dataset.from_tensor_slices((x, y))
            data = data.shuffle(ROWS, seed=3).batch(6)
        else:
            x, y = separate((x, y))
            tasks = {task: (x[task], y[task]) for task in y}
            data = task_batches(tasks, 6, seed=3)
        return iter(data)

    def advance(model, iterator, steps):
        for _ in range(steps):
            model.train_on_batch(*next(iterator))

    whole, iterator = model_with("pcgrad"), batches()
    advance(whole, iterator, 2)
    kept = tf.train.Checkpoint(model=whole, data=iterator)
    path = kept.write(str(tmp_path / "checkpoint"))
    advance(whole, iterator, 2)
    model, iterator = model_with("pcgrad", seed=5), batches()
    advance(model, iterator, 1)
    kept = tf.train.Checkpoint(model=model, data=iterator)
    kept.read(path).assert_existing_objects_matched()
    advance(model, iterator, 2)
    assert not differing(state(model), state(whole))
