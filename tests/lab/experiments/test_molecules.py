"""The experiments on molecules, on a made-up table."""

import itertools
import json

import keras
import numpy as np
import pytest
import sklearn.metrics

from keras_mtl.lab.experiments import make_experiment
from keras_mtl.lab.runs.running import train
from keras_mtl.layers import UnpackBits

pytest.importorskip("rdkit")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Chains of atoms; tasks ask whether one holds N, O, S, or C."""
    chains = [
        "".join(c)
        for n in (2, 3, 4)
        for c in itertools.product("CNOS", repeat=n)
    ]
    rng = np.random.default_rng(0)
    lines = ["smiles,few,n,o,s"]
    for chain in chains:
        values = [str(int(a in chain)) for a in "NOS"]
        values = ["" if rng.random() < 0.2 else v for v in values]
        few = str(int("C" in chain)) if rng.random() < 0.1 else ""
        lines.append(",".join([chain, few, *values]))
    path = tmp_path_factory.mktemp("molecules") / "chains.csv"
    path.write_text("\n".join([*lines, "no molecule,,1,1,1"]))
    return path


def settings(table, **given):
    return {"data": table, "num_tasks": 3, "batch_size": 64, **given}


def test_parts(table):
    experiment = make_experiment(
        "toxcast", **settings(table, validation=0.25, balance="task")
    )
    parts = experiment.parts()
    assert sorted(parts.prepared) == ["n", "o", "s"]  # The fullest three.
    counts = [len(of[0]) for of in (parts.test, parts.validation, parts.train)]
    labelled = sum("1" in r or "0" in r for r in table.read_text().split())
    # The last one is no molecule, and the header has no label.
    assert sum(counts) == parts.facts["molecules"] == labelled - 1
    assert counts[0] == (labelled - 1) // 10
    assert counts[1] == (labelled - 1 - counts[0]) // 4
    assert parts.facts["no_molecule"] == 1
    assert len(parts.facts["no_molecule_texts"]) == 1
    x, y, weights = parts.train
    assert x.dtype == "uint8"
    assert x.shape[1] == 256
    # Both classes of a task weigh the same in all.
    for task in range(3):
        active = weights[y[:, task] == 1, task].sum(dtype="float64")
        every = weights[:, task].sum(dtype="float64")
        assert active == pytest.approx(every / 2, rel=1e-5)
    first = make_experiment("pcba", **settings(table, data_tasks=1)).parts()
    assert first.prepared == ["few", "n", "o"]
    assert first.facts["molecules"] < 60
    shares = [
        weights[(y == kind) & (weights > 0)]
        for _, y, weights in [first.train]
        for kind in (0, 1)
    ]
    share = first.facts["active_share"]
    np.testing.assert_allclose(shares[0], share, rtol=1e-6)
    np.testing.assert_allclose(shares[1], 1 - share, rtol=1e-6)


def test_experts_are_stacked_for_all_tasks(table):
    experiment = make_experiment(
        "toxcast", **settings(table), architecture="mmoe"
    )
    parts = experiment.parts()
    model = experiment.build(parts)
    assert model(parts.train[0][:5]).shape == (5, 3)
    assert model.encoder.stacked
    assert model.encoder(parts.train[0][:5]).shape == (5, 3, 100)


def test_trains_measures_and_saves(table, tmp_path):
    experiment = make_experiment(
        "toxcast",
        **settings(table, epochs=3, validation=0.2, weighter="slaw"),
    )
    metrics = train(experiment, tmp_path, diagnose=True)
    model = keras.saving.load_model(tmp_path / "model.keras")
    parts = experiment.parts()
    x, y, weights = parts.test
    scores = model.predict(x, verbose=0)
    known = weights > 0
    for task, name in enumerate(parts.prepared):
        rows = known[:, task]
        expected = sklearn.metrics.average_precision_score(
            y[rows, task], scores[rows, task]
        )
        received = metrics["test_ap_by_task"][name]
        assert received == pytest.approx(expected, abs=1e-6)
    assert metrics["test_micro_ap"] == pytest.approx(
        sklearn.metrics.average_precision_score(y[known], scores[known]),
        abs=1e-6,
    )
    history = json.loads((tmp_path / "history.json").read_text())
    assert len(history["val_mean_ap"]) == 3
    assert history["loss"][-1] < history["loss"][0]
    # As PyTorch divides: by the sum of the weights of a task's labels.
    losses = model.evaluate(
        x, y, sample_weight=weights, verbose=0, return_dict=True, batch_size=99
    )
    z = scores.astype("float64")
    values = np.logaddexp(0, z) - y * z
    expected = (values * weights).sum(axis=0) / weights.sum(axis=0)
    for name, value in zip(parts.prepared, expected, strict=True):
        assert losses[f"{name}_loss"] == pytest.approx(value, rel=1e-4)


def test_bits():
    bits = np.random.default_rng(1).integers(0, 2, (3, 16))
    layer = UnpackBits(dtype="bfloat16")
    received = layer(np.packbits(bits, axis=1))
    assert received.dtype == "bfloat16"
    np.testing.assert_array_equal(np.array(received, "float32"), bits)
    spec = layer(keras.Input((2,), dtype="uint8"))
    assert spec.shape == (None, 16)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_tasks": 9}, "has 4 tasks. Received: num_tasks=9"),
        ({"tasks": ("n",)}, "stacked and not trained alone"),
        ({"balance": "both"}, "balance"),
        ({"task_order": "name"}, "task_order"),
        ({"data": None}, "reads a table of MoleculeNet"),
    ],
)
def test_bad_settings(table, given, message):
    with pytest.raises(ValueError, match=message):
        make_experiment("toxcast", **{**settings(table), **given}).load()


def test_too_few_molecules(tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("smiles,a,b\n" + "CCO,1,0\n" * 9 + "none,1,0\n")
    experiment = make_experiment("toxcast", **settings(path, num_tasks=2))
    with pytest.raises(ValueError, match=r"9 molecules .*\['none'\]"):
        experiment.load()
