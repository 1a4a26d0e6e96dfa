"""Census: from raw columns to a SavedModel that takes raw columns."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.architectures import PLE, CrossStitch, MMoE
from keras_mtl.data import mask_missing
from keras_mtl.data.columns import make_columns, preprocessed
from keras_mtl.lab.datasets import load_census
from keras_mtl.lab.datasets.census import CATEGORICAL
from keras_mtl.lab.datasets.census_files import NUMERIC
from keras_mtl.lab.experiments import make_experiment
from keras_mtl.lab.experiments.census import CensusExperiment
from keras_mtl.metrics import roc_auc
from tests.lab.experiments.census_rows import write_table

ENCODERS = {"mmoe": MMoE, "ple": PLE, "cross_stitch": CrossStitch}
SERVE = """
    import sys
    sys.modules["keras_mtl"] = sys.modules["keras"] = None
    import numpy as np, tensorflow as tf
    folder = sys.argv[1]
    served = tf.saved_model.load(folder + "/served")
    columns = dict(np.load(folder + "/columns.npz"))
    for rows in (1, 1_000):
        some = {n: tf.constant(v[:rows]) for n, v in columns.items()}
        found = served.signatures["serving_default"](**some)
        np.savez(f"{folder}/{rows}.npz", **found)
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("census")
    write_table(folder)
    return folder


@pytest.fixture(scope="module")
def trained(table):
    """An experiment, its data and a model of one epoch with labels missing."""
    made = CensusExperiment(data=table, architecture="mmoe", batch_size=64)
    parts = made.parts()
    model = made.build(parts)
    made.compile(model)
    x, y = parts.train
    y = {task: labels.astype("float32") for task, labels in y.items()}
    y["marital"][::3] = np.nan
    labels, weights = mask_missing(y)
    history = model.fit(
        x,
        labels,
        sample_weight=weights,
        batch_size=64,
        validation_data=(x, labels, weights),
        validation_batch_size=64,
        verbose=0,
    )
    return parts, model, history.history, (x, labels, weights)


def test_columns_become_categories_and_standard_numbers(table):
    sets = load_census(table)
    x, _ = sets["train"]
    columns = make_columns(x)
    found = preprocessed(columns.preprocessing, x)
    numbers = np.stack([x[n] for n in NUMERIC], axis=1).astype("float64")
    expected = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    np.testing.assert_allclose(found["numbers"], expected, atol=1e-5)
    known = [sorted(set(x[n])) for n in CATEGORICAL]
    ids = [
        [1 + own.index(value) for value in x[n]]
        for n, own in zip(CATEGORICAL, known, strict=True)
    ]
    np.testing.assert_array_equal(found["categories"], np.transpose(ids))
    assert columns.sizes == tuple(map(len, known))
    # A category that no training row has is none of them.
    other = {**x, "sex": np.full(len(x["sex"]), "Unheard of", object)}
    place = CATEGORICAL.index("sex")
    ids = preprocessed(columns.preprocessing, other)["categories"]
    assert not ids[:, place].any()


def test_auc_in_fit_is_that_of_the_labels_there_are(trained):
    _, model, history, (x, labels, weights) = trained
    predictions = model.predict(x, verbose=0)
    for task in model.task_names:
        exact = roc_auc(labels[task], predictions[task], weights.get(task))
        (received,) = history[f"val_{task}_auc"]
        # Keras sums over thresholds a thousandth apart.
        assert received == pytest.approx(exact[0], abs=5e-3)
        assert 0.0 < history[f"{task}_auc"][0] < 1.0


def test_raw_columns_are_served_where_this_package_is_not(
    trained, table, tmp_path
):
    parts, model, *_ = trained
    CensusExperiment().export(model, parts, tmp_path)
    x, _ = load_census(table)["train"]
    columns = {name: np.resize(values, 1_000) for name, values in x.items()}
    columns["birth"][7] = "Atlantis"
    plain = {
        n: v.astype("S") if n in CATEGORICAL else v for n, v in columns.items()
    }
    np.savez(tmp_path / "columns.npz", **plain)
    command = [sys.executable, "-c", textwrap.dedent(SERVE), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    inputs = preprocessed(parts.prepared.preprocessing, columns)
    expected = model.predict(inputs, batch_size=1_000, verbose=0)
    for rows in (1, 1_000):
        found = np.load(tmp_path / f"{rows}.npz")
        assert {*found} == {"income", "marital"}
        for task, values in expected.items():
            assert found[task].shape == (rows, 1)
            np.testing.assert_allclose(found[task], values[:rows], rtol=1e-5)


@pytest.mark.parametrize("architecture", ENCODERS)
def test_architectures_are_as_large_as_a_shared_bottom(trained, architecture):
    parts, *_ = trained
    sizes = {}
    for name in ("shared_bottom", architecture):
        model = CensusExperiment(architecture=name).build(parts)
        model({n: v[:1] for n, v in parts.train[0].items()})
        sizes[name] = model.count_params()
    assert isinstance(model.encoder, ENCODERS[architecture])
    difference = sizes["shared_bottom"] - sizes[architecture]
    inputs = parts.prepared.width + 1
    if architecture == "ple":
        # Each of two gates reads 6 experts of 8.
        difference -= 2 * 2 * inputs
    # Widths are whole: half a unit of the bottom, or one of both towers.
    half = (inputs + 2 * 8) / 2
    towers = (2 * (inputs + 2) + 2 * 8) / 2
    assert abs(difference) <= half + towers * (architecture == "cross_stitch")


def test_data_that_are_not_there():
    with pytest.raises(ValueError, match="`data` must be the path of a folder"):
        make_experiment("census", data="nowhere")
    with pytest.raises(ValueError, match="Did you mean 'mmoe'"):
        make_experiment("census", architecture="mmo")


def test_a_served_functional_preprocessing_keeps_its_inputs(tmp_path):
    """Of one tensor, whose name is not `text`."""
    inputs = keras.Input((), name="degrees", dtype="int32")
    scaled = keras.ops.cast(inputs, "float32")[:, None] / 10.0
    model = MultiTaskModel(keras.layers.Dense(2), {"a": keras.layers.Dense(1)})
    x = np.float32([[1.5], [-2.0]])
    expected = model.predict(x, verbose=0)["a"]
    preprocessing = keras.Model(inputs, scaled)
    model.export(tmp_path, preprocessing=preprocessing, verbose=False)
    served = tf.saved_model.load(tmp_path).signatures["a"]
    received = served(degrees=tf.constant([15, -20]))["a"]
    np.testing.assert_allclose(received, expected, rtol=1e-5)
