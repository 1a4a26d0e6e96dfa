"""Keras' own callbacks, in one `fit`, do what they do for any Keras model.

`BackupAndRestore`, `CSVLogger`, `EarlyStopping`, `ModelCheckpoint` and
`TerminateOnNaN` have tests of their own.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import TASKS, make_data, new_model


def test_in_one_fit(tmp_path, monkeypatch):
    sent = []
    requests = pytest.importorskip("requests")
    monkeypatch.setattr(
        requests, "post", lambda url, json, headers: sent.append(json)
    )
    rates = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / 2**epoch)
    ended = []
    callbacks = [
        rates,
        # Nothing improves by so much: halved at each end of an epoch.
        keras.callbacks.ReduceLROnPlateau(
            "val_loss", factor=0.5, patience=1, min_delta=1e9
        ),
        keras.callbacks.SwapEMAWeights(),
        keras.callbacks.TensorBoard(
            tmp_path, histogram_freq=1, update_freq="batch"
        ),
        keras.callbacks.RemoteMonitor("http://localhost", send_as_json=True),
        keras.callbacks.LambdaCallback(on_train_end=ended.append),
        keras.callbacks.History(),
    ]
    optimizer = keras.optimizers.SGD(0.3, use_ema=True, ema_momentum=0.5)
    model = new_model("slaw", optimizer, metrics={"class": ["accuracy"]})
    data = make_data()
    history = model.fit(
        *data,
        batch_size=4,
        epochs=2,
        validation_data=data,
        callbacks=callbacks,
        verbose=0,
    )
    assert history is callbacks[-1]
    np.testing.assert_allclose(history.history["learning_rate"], [0.1, 0.05])
    assert float(optimizer.learning_rate) == pytest.approx(0.025)
    # Averages stand in the model while it validates, and when `fit` ends.
    logs = model.evaluate(*data, batch_size=4, verbose=0, return_dict=True)
    for name, value in logs.items():
        last = history.history[f"val_{name}"][-1]
        assert last == pytest.approx(value, rel=1e-5), name
    assert [message["epoch"] for message in sent] == [0, 1]
    assert json.loads(json.dumps(sent[1]))["loss"] == sent[1]["loss"]
    assert ended[0]["loss"] == history.history["loss"][1]
    tags = set()
    for file in tmp_path.rglob("*.v2"):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            tags |= {value.tag for value in event.summary.value}
    for name in ("loss", "class_accuracy", *(f"{t}_loss" for t in TASKS)):
        assert f"epoch_{name}" in tags
    assert any(tag.endswith("kernel/histogram") for tag in tags)
