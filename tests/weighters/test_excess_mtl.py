import numpy as np
import pytest

from keras_mtl.weighters import ExcessMTL
from tests.golden import golden, golden_weights

JACOBIANS = np.array(golden("sequences")["J"])


@pytest.mark.parametrize("step_size", [1.0, 0.01])
def test_golden(step_size):
    excess = ExcessMTL(step_size)
    received = [excess(gradients=jacobian) for jacobian in JACOBIANS]
    expected = golden_weights(f"ExcessMTL({step_size})", "LibMTL", "sequences")
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


def test_the_first_risks_may_be_a_mean():
    """By the formula, in float64."""
    excess = ExcessMTL(step_size=0.5, warmup_steps=3)
    squares, risks, logits = np.zeros(JACOBIANS[0].shape), [], np.zeros(3)
    for jacobian in JACOBIANS:
        squares += jacobian**2
        risks.append(np.sum(jacobian**2 / np.sqrt(squares + 1e-7), axis=1))
        if len(risks) > 3:
            logits += 0.5 * risks[-1] / np.mean(risks[:3], axis=0)
        expected = 3 * np.exp(logits) / np.exp(logits).sum()
        weights = excess(gradients=jacobian)
        np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_an_absent_task_keeps_its_weight():
    excess = ExcessMTL(step_size=1.0)
    for jacobian in JACOBIANS[:4]:
        before = excess(gradients=jacobian).numpy()
    jacobian = JACOBIANS[4] * [[1.0], [1.0], [0.0]]
    after = excess(gradients=jacobian, present=[1.0, 1.0, 0.0]).numpy()
    assert after[2] == before[2]
    np.testing.assert_allclose(after.sum(), 3.0, rtol=1e-6)
    assert abs(after[0] - before[0]) > 1e-3


def test_large_scopes_are_refused_with_their_bytes():
    with pytest.raises(ValueError) as error:
        ExcessMTL(scope="shared").bind(3, sizes={"number": 1000})
    assert str(error.value) == (
        "ExcessMTL keeps a copy of the variables of its scope for each task: "
        "3 times 1,000 numbers of the scope 'shared', 12,000 bytes. Pass "
        "scope='last_shared_layer', or large=True if you have the memory."
    )
    ExcessMTL(scope="shared", large=True).bind(3, sizes={"number": 1000})


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="`step_size` must be greater"):
        ExcessMTL(step_size=0.0)
    with pytest.raises(ValueError, match="`warmup_steps` must be at least 0"):
        ExcessMTL(warmup_steps=-1)
