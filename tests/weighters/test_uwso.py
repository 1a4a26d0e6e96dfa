import numpy as np
import pytest

from keras_mtl.weighters import UWSO
from tests.golden import golden_losses, golden_weights


@pytest.mark.parametrize("temperature", [1.0, 10.0])
def test_golden(temperature):
    uwso = UWSO(temperature)
    received = [uwso(losses=row) for row in golden_losses()[0]]
    expected = 3 * golden_weights(f"UWSO({temperature})", "formula")
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_smaller_losses_weigh_more_and_heat_makes_them_uniform():
    for losses in np.random.default_rng(0).uniform(0.5, 3.0, (50, 6)):
        weights = UWSO()(losses=losses).numpy()
        assert (np.argsort(weights) == np.argsort(-losses)).all()
        np.testing.assert_allclose(weights.sum(), 6.0, rtol=1e-6)
        warm = UWSO(temperature=1e6)(losses=losses)
        np.testing.assert_allclose(warm, 1.0, rtol=1e-5)


def test_a_loss_of_zero_or_below_takes_all():
    for loss in (0.0, -1.0):
        weights = UWSO()(losses=[loss, 1.0])
        np.testing.assert_array_equal(weights, [2.0, 0.0])


def test_absent_task_keeps_its_weight():
    uwso = UWSO()
    kept = uwso(losses=[1.0, 2.0, 3.0]).numpy()[0]
    weights = uwso(losses=[0.0, 1.0, 1.0], present=[0.0, 1.0, 1.0])
    rest = (3 - kept) / 2
    np.testing.assert_allclose(weights, [kept, rest, rest], rtol=1e-6)


def test_error():
    with pytest.raises(ValueError) as error:
        UWSO(temperature=0)
    assert str(error.value) == (
        "Argument `temperature` must be greater than 0. Received: temperature=0"
    )
