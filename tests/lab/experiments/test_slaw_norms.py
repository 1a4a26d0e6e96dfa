"""Figure 3 of SLAW, at the size of a test."""

import json

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from keras_mtl.lab.cli import app
from keras_mtl.lab.experiments.slaw_norms import (
    Watched,
    _inverse,
    agreement,
    run_trials,
)
from keras_mtl.weighters import SLAW

SMALL = {"num_tasks": 3, "num_train": 120, "num_test": 1, "batch_size": 40}


@pytest.mark.parametrize("in_use", [False, True])
def test_weights_are_slaws_in_use_or_not(in_use):
    watched, slaw = Watched(in_use), SLAW()
    for losses in np.random.default_rng(0).uniform(1.0, 2.0, (5, 3)):
        expected = slaw(losses=losses)
        weights = watched(losses=losses)
        estimate = tf.convert_to_tensor(watched.estimate)
        np.testing.assert_array_equal(estimate, expected)
        np.testing.assert_array_equal(
            weights, expected if in_use else np.ones(3)
        )
    assert np.ptp(estimate) > 0.1


def test_weights_of_norms():
    """Equation 4: `K (1 / g_i) / sum_j (1 / g_j)`."""
    np.testing.assert_allclose(
        _inverse([1.0, 2.0, 4.0]), [12 / 7, 6 / 7, 3 / 7]
    )


def test_agreement_of_a_power_law():
    true = np.random.default_rng(0).uniform(0.5, 4.0, (20, 2))
    points = [
        {"task": 1, "true": t.tolist(), "estimated": (3.0 * t**1.5).tolist()}
        for t in true
    ]
    told = agreement(points)
    assert told["rank_correlation"] == pytest.approx(1.0)
    assert told["correlation"] == pytest.approx(1.0)
    assert told["slope"] == pytest.approx(1.5)
    points[0]["estimated"][1] = 1e9
    told = agreement(points)
    # One rank of twenty, from r to the last: by Spearman's own formula.
    rank = np.argsort(np.argsort(true[:, 1]))[0]
    moved = (19 - rank) ** 2 + (19 - rank)
    expected = 1.0 - 6.0 * moved / (20 * (20**2 - 1))
    assert told["rank_correlation"] == pytest.approx(expected)


def test_the_command_goes_on_and_draws(tmp_path):
    """Runs that follow others in the model are those of a new one."""
    first, again = tmp_path / "first", tmp_path / "again"
    whole = run_trials(first, trials=2, most_steps=30, **SMALL)
    assert [len(points) for points in whole.values()] == [2, 2]
    run_trials(again, trials=1, most_steps=30, **SMALL)
    ran = CliRunner().invoke(
        app,
        [
            *("figure", "slaw-norms", "--out", str(again)),
            *("--trials", "2", "--steps", "30"),
            *("--settings", json.dumps(SMALL)),
        ],
    )
    assert ran.exit_code == 0, ran.output
    content = json.loads((again / "points.json").read_text())
    assert content["points"] == whole
    for points in whole.values():
        assert [p["trial"] for p in points] == [0, 1]
        assert points[0]["true"] != points[1]["true"]
        for point in points:
            assert point["steps"] in (10, 20, 30)
            assert np.mean(point["true"]) == pytest.approx(1.0)
            assert np.mean(point["estimated"]) == pytest.approx(1.0)
            # The tasks' scales are 1, 2 and 3.
            assert np.all(np.diff(point["true"]) < 0.0)
            assert np.all(np.diff(point["estimated"]) < 0.0)
    picture = (again / "slaw_norms.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    words = " ".join(ran.output.split())
    told = agreement(whole["held"])["rank_correlation"]
    assert f"weights held at 1, 2 runs: rank correlation {told:.3f}" in words
    with pytest.raises(ValueError, match="points of other settings"):
        run_trials(again, trials=2, most_steps=40, **SMALL)
