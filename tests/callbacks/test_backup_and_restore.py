import keras
import pytest

from keras_mtl.callbacks import BackupAndRestore
from tests.training import differing, make_data, new_model, state


class Stop(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def test_an_interrupted_run_ends_as_one_that_was_not(tmp_path):
    folder = tmp_path / "backup"
    x, y = make_data(24)
    fit = {"x": x, "y": y, "batch_size": 12, "shuffle": False, "verbose": 0}
    model = {"dropout": 0.3, "batch_norm": True}
    expected = new_model("slaw", model=model)
    expected.fit(**fit, epochs=4)

    for seed, epoch in ((0, 1), (1, 3)):
        received = new_model("slaw", seed=seed, model=model)
        callbacks = [BackupAndRestore(folder), Stop(epoch)]
        with pytest.raises(KeyboardInterrupt):
            received.fit(**fit, epochs=4, callbacks=callbacks)
        name = f"epoch_{epoch:08d}.weights.h5"
        assert [path.name for path in folder.iterdir()] == [name]
    # What a kill in the midst of saving leaves.
    (folder / "partial.weights.h5").write_bytes(b"half")

    received = new_model("slaw", seed=5, model=model)
    callbacks = [BackupAndRestore(folder, delete=False)]
    history = received.fit(**fit, epochs=4, callbacks=callbacks)
    assert history.epoch == [3]
    assert not differing(state(received), state(expected))
    assert [path.name for path in folder.iterdir()] == [
        "epoch_00000004.weights.h5"
    ]

    callbacks = [BackupAndRestore(folder)]
    assert not received.fit(**fit, epochs=4, callbacks=callbacks).epoch
    assert not [*folder.iterdir()]
    assert received.fit(**fit, epochs=2).epoch == [0, 1]
