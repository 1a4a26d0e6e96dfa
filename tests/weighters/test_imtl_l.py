import numpy as np

from keras_mtl.weighters import IMTLL
from tests.golden import golden_losses, golden_weights
from tests.weighters.trained import weights_while_trained


def test_golden():
    received = weights_while_trained(IMTLL(), golden_losses()[0])
    expected = golden_weights("IMTLL", "torchjd")
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_at_the_optimum_every_weighted_loss_is_one():
    losses = np.array([0.5, 2.0, 8.0])
    steps = np.tile(losses, (400, 1))
    weights = weights_while_trained(IMTLL(), steps, rate=0.1)[-1]
    np.testing.assert_allclose(weights, 1 / losses, rtol=1e-4)


def test_absent_task_keeps_its_weight():
    steps = np.tile([0.0, 2.0], (10, 1))
    weights = weights_while_trained(IMTLL(), steps, present=[0.0, 1.0])[-1]
    assert weights[0] == 1.0
    assert weights[1] < 0.9


def test_only_the_log_weights_are_trained():
    weighter = IMTLL()
    weighter.bind(2)
    (variable,) = weighter.trainable_variables
    assert (variable.name, variable.regularizer) == ("log_weights", None)
