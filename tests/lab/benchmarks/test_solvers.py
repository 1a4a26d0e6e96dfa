import json

import numpy as np
import pytest

from keras_mtl import weighters
from keras_mtl.lab.benchmarks.residuals import RESIDUALS, residual
from keras_mtl.lab.benchmarks.solvers import random_gradients
from tests.lab.benchmarks.test_command import run


@pytest.mark.parametrize("method", RESIDUALS)
def test_residuals_are_zero_for_exact_weights_alone(method):
    """Each weighter's own tests say that it is exact to about 1e-5."""
    pytest.importorskip("scipy")
    gradients = random_gradients(3)[:4]
    weighter = weighters.get(method)
    weights = [
        np.float64(weighter(gramian=rows @ rows.T)) for rows in gradients
    ]
    median, worst = residual(method, gradients, weights)
    assert abs(median) <= abs(worst) <= 2e-5
    # Away from them by a tenth of the first.
    moved = np.array(weights)
    moved[:, 0] *= 1.1
    assert min(residual(method, gradients, moved)) > 1e-4
    scaled = [1e-3 * rows for rows in gradients]
    found = residual(method, scaled, _of_scaled(method, moved))
    np.testing.assert_allclose(
        found, residual(method, gradients, moved), rtol=1e-6
    )


def _of_scaled(method, weights):
    # Weights that follow the gradients' norm; what they weigh does not.
    return 1e3 * weights if method in ("nash_mtl", "fairgrad") else weights


def test_a_method_without_residual():
    assert residual("pcgrad", random_gradients(2), np.ones((16, 2))) is None


def test_the_command_times_solvers(tmp_path):
    out = tmp_path / "solvers.json"
    ran = run(
        "--solvers",
        "--tasks",
        2,
        "--weighters",
        "mgda",
        "--out",
        out,
        "--repetitions",
        1,
    )
    assert ran.exit_code == 0, ran.output
    assert "K = 2" in ran.output
    (result,) = json.loads(out.read_text())["results"]
    names = [row["name"] for row in result["rows"]]
    assert names == ["min_norm_point", "mgda", "a call"]
    baseline = result["rows"][0]
    assert baseline["ratio"]["median"] == 1.0
    assert baseline["seconds"] > 0.0


def test_solvers_of_other_signals_are_refused():
    ran = run("--solvers", "--weighters", "mgda,slaw")
    assert ran.exit_code == 1
    assert "'slaw' asks for ['losses']. Leave it out." in ran.output
