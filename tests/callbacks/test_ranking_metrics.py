"""Rankings in the logs are scikit-learn's of the same predictions."""

import csv

import keras
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from keras_mtl.callbacks import DeltaM, RankingMetrics
from tests.tasks.stacked_twins import (
    NAMES,
    compiled,
    make_data,
    stacked_model,
)
from tests.training import make_data as make_named_data
from tests.training import new_model

EXPECTED = {"ap": average_precision_score, "auc": roc_auc_score}


def check(logs, columns):
    """Compares with scikit-learn; `columns` are labels, scores by task."""
    for name, function in EXPECTED.items():
        values = []
        for task, (label, score) in columns.items():
            value = float("nan")
            if 0 < label.sum() < len(label):
                value = function(label, score)
            received = logs[f"val_{task}_{name}"][-1]
            np.testing.assert_allclose(received, value, rtol=1e-12)
            values.append(value)
        np.testing.assert_allclose(
            logs[f"val_mean_{name}"][-1], np.nanmean(values), rtol=1e-12
        )


def test_of_stacked_tasks(tmp_path):
    """With missing labels, a task without any, and rows of their own."""
    x, y, weight = make_data(40)
    weight[:, 1] = 0.0
    y[3, 0] = np.nan
    model = compiled(stacked_model(), metrics=None, weighted_metrics=None)
    file = tmp_path / "log.csv"
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", "val_mean_ap", mode="max", save_best_only=True
    )
    ranking = RankingMetrics((x, y, weight), batch_size=16)
    x_train, y_train, weight_train = make_data(20, seed=2)
    train = {"x": x_train, "y": y_train, "sample_weight": weight_train}
    after = [keras.callbacks.CSVLogger(file), best, ranking]
    logs = model.fit(**train, epochs=2, callbacks=after, verbose=0).history
    scores = model.predict(x, verbose=0)
    present = (weight != 0.0) & ~np.isnan(y)
    columns = {
        task: (y[there, k], scores[there, k])
        for k, (task, there) in enumerate(zip(NAMES, present.T, strict=True))
    }
    check(logs, columns)
    assert np.isnan(logs["val_age_auc"]).all()
    assert best.best == max(logs["val_mean_ap"])
    with file.open() as lines:
        written = [float(row["val_mean_auc"]) for row in csv.DictReader(lines)]
    np.testing.assert_allclose(written, logs["val_mean_auc"], rtol=1e-6)

    ids = np.arange(40) % 4
    x, y = {"inputs": x, "task": np.array(NAMES)[ids]}, np.nan_to_num(y[:, 0])
    ranking = RankingMetrics((x, y, weight[:, 0]))
    logs = model.fit(**train, callbacks=[ranking], verbose=0).history
    mine = [(ids == k) & (weight[:, 0] != 0.0) for k in range(4)]
    scores = model.predict(x["inputs"], verbose=0)
    columns = {
        task: (y[there], scores[there, k])
        for k, (task, there) in enumerate(zip(NAMES, mine, strict=True))
    }
    check(logs, columns)


def test_of_named_tasks():
    model = new_model()
    x, y = make_named_data(24)
    weight = {"tone": np.arange(24) % 3}
    ranking = RankingMetrics((x, y, weight))
    change = DeltaM({"tone": {"ap": 0.5}})
    logs = model.fit(x, y, callbacks=[change, ranking], verbose=0).history
    precision = logs["val_tone_ap"][0]
    np.testing.assert_allclose(logs["val_delta_m"], 200.0 * precision - 100.0)
    there = weight["tone"] != 0
    score = model.predict(x, verbose=0)["tone"]
    tone = np.ravel(y["tone"])[there], np.ravel(score)[there]
    check(logs, {"tone": tone})
    assert ranking.columns() == [
        *("val_tone_ap", "val_mean_ap", "val_tone_auc", "val_mean_auc")
    ]
    unranked = RankingMetrics((x, {"stars": y["stars"]}))
    with pytest.raises(ValueError, match="no binary task"):
        model.fit(x, y, callbacks=[unranked], verbose=0)
    unknown = RankingMetrics((x, y), tasks=["tones"])
    with pytest.raises(ValueError, match="Did you mean 'tone'"):
        model.fit(x, y, callbacks=[unknown], verbose=0)


def test_arguments():
    with pytest.raises(ValueError, match="must be a tuple of arrays"):
        RankingMetrics(np.zeros(3))
    with pytest.raises(ValueError, match="Did you mean 'roc_auc'"):
        RankingMetrics((1, 2), metrics="roc_auk")
