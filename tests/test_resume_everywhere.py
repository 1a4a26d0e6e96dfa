"""Every weighter goes on bit for bit, whatever kept its state."""

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


def model_with(weighter, seed=0):
    optimizer = keras.optimizers.Adam(0.01, global_clipnorm=5.0)
    return new_model(weighters.get(weighter), optimizer, seed, MODEL)


def fit(model, epochs=EPOCHS, callbacks=(), **kwargs):
    x, y = make_data(ROWS)
    query = query_for(model.weighter)
    if query:  # A data set: arrays would be shuffled.
        kwargs["query_data"] = tf.data.Dataset.from_tensors(query)
    return model.fit(
        *(x, y),
        batch_size=BATCH,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[*callbacks],
        **kwargs,
    )


class Break(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module", params=WEIGHTERS)
def run(request, tmp_path_factory):
    """A weighter, the folder of a broken run, and the state of a whole one."""
    folder = tmp_path_factory.mktemp("run")
    weighter = WEIGHTERS[request.param]
    whole = model_with(weighter)
    fit(whole)
    broken = model_with(weighter)
    callbacks = [
        keras.callbacks.ModelCheckpoint(folder / "whole.keras"),
        keras.callbacks.ModelCheckpoint(
            folder / "only.weights.h5", save_weights_only=True
        ),
        keras.callbacks.BackupAndRestore(folder / "backup"),
    ]
    with pytest.raises(KeyboardInterrupt):
        fit(broken, callbacks=[*callbacks, Break()])
    tf.train.Checkpoint(model=broken).write(str(folder / "checkpoint"))
    return weighter, folder, state(whole)


def test_backup_and_restore(run):
    weighter, folder, expected = run
    model = model_with(weighter, seed=5)
    backup = keras.callbacks.BackupAndRestore(
        folder / "backup", delete_checkpoint=False
    )
    assert fit(model, callbacks=[backup]).epoch == [2, 3]
    assert not differing(state(model), expected)


def test_a_checkpoint_of_the_model(run):
    _, folder, expected = run
    model = keras.saving.load_model(folder / "whole.keras")
    fit(model, initial_epoch=2)
    assert not differing(state(model), expected)


def test_a_checkpoint_of_the_weights(run):
    weighter, folder, expected = run
    model = model_with(weighter, seed=5)
    step(model, 0)  # The optimizer's state is made by then.
    model.load_weights(folder / "only.weights.h5")
    fit(model, initial_epoch=2)
    assert not differing(state(model), expected)


def test_a_checkpoint_of_tensorflow(run):
    weighter, folder, expected = run
    model = model_with(weighter, seed=5)
    step(model, 0)
    status = tf.train.Checkpoint(model=model).read(str(folder / "checkpoint"))
    status.assert_existing_objects_matched()
    fit(model, initial_epoch=2)
    assert not differing(state(model), expected)


@pytest.mark.parametrize("source", ["slices", "task_batches"])
def test_the_position_in_the_data(tmp_path, source):
    """TensorFlow saves that of an iterator: shuffled, and by task."""

    def batches():
        x, y = make_data(ROWS)
        if source == "slices":
            data = tf.data.Dataset.from_tensor_slices((x, y))
            data = data.shuffle(ROWS, seed=3).batch(5).repeat()
        else:
            x, y = separate((x, y))
            tasks = {task: (x[task], y[task]) for task in y}
            data = task_batches(tasks, 5, seed=3).repeat()
        return iter(data)

    def advance(model, iterator, steps):
        for _ in range(steps):
            model.train_on_batch(*next(iterator))

    whole, iterator = model_with("pcgrad"), batches()
    advance(whole, iterator, 12)
    broken, iterator = model_with("pcgrad"), batches()
    advance(broken, iterator, 7)
    kept = tf.train.Checkpoint(model=broken, data=iterator)
    path = kept.write(str(tmp_path / "checkpoint"))
    model, iterator = model_with("pcgrad", seed=5), batches()
    advance(model, iterator, 1)
    kept = tf.train.Checkpoint(model=model, data=iterator)
    kept.read(path).assert_existing_objects_matched()
    advance(model, iterator, 5)
    assert not differing(state(model), state(whole))
