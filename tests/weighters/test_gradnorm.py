import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.weighters import GradNorm


def test_first_step_is_one_learning_rate_long():
    gradnorm = GradNorm(learning_rate=0.025)
    weights = gradnorm(losses=[1.0, 1.0], gradient_norms=[3.0, 1.0])
    np.testing.assert_allclose(weights, [0.975, 1.025], rtol=1e-6)


def test_equal_weighted_norms_are_a_fixed_point_without_asymmetry():
    norms = np.array([3.0, 1.0, 0.5])
    fixed = 3 / norms / np.sum(1 / norms)
    gradnorm = GradNorm(asymmetry=0.0)
    gradnorm.bind(3)
    gradnorm.task_weights.assign(fixed)
    weights = gradnorm(losses=[1.0, 2.0, 3.0], gradient_norms=norms)
    np.testing.assert_allclose(weights, fixed, rtol=1e-6)


@pytest.mark.parametrize("asymmetry", [0.0, 1.0])
def test_weights_converge_to_the_fixed_point(asymmetry):
    norms, rates = np.array([3.0, 1.0, 0.5]), np.array([1.0, 0.5, 0.75])
    fixed = rates**asymmetry / norms
    fixed *= 3 / fixed.sum()
    gradnorm = GradNorm(asymmetry, learning_rate=0.01)
    gradnorm(losses=np.ones(3), gradient_norms=norms)
    step = tf.function(gradnorm.__call__, autograph=False)
    losses = tf.constant(rates, "float32")
    for _ in range(300):
        weights = step(
            losses=losses, gradient_norms=tf.constant(norms, "float32")
        )
    np.testing.assert_allclose(weights, fixed, atol=0.05)


def test_asymmetry_favours_the_slow_task():
    gradnorm = GradNorm(asymmetry=1.5)
    for losses in ([1.0, 1.0], [0.5, 1.0], [0.25, 1.0]):
        weights = gradnorm(losses=losses, gradient_norms=[1.0, 1.0])
    assert weights[1] > weights[0]


def test_weights_stay_positive_and_sum_to_k():
    gradnorm = GradNorm(learning_rate=0.5)
    for _ in range(20):
        weights = gradnorm(losses=[1.0, 1.0], gradient_norms=[1e6, 1e-6])
        assert (weights.numpy() > 0).all()
        np.testing.assert_allclose(np.sum(weights), 2.0, rtol=1e-6)


def test_absent_task_keeps_its_weight_and_its_baseline():
    gradnorm = GradNorm()
    late = {"present": [0.0, 1.0, 1.0], "gradient_norms": [0.0, 2.0, 1.0]}
    weights = gradnorm(losses=[0.0, 4.0, 2.0], **late)
    np.testing.assert_allclose(weights, [1.0, 0.975, 1.025], rtol=1e-6)
    gradnorm(losses=[3.0, 2.0, 2.0], gradient_norms=[1.0, 2.0, 1.0])
    np.testing.assert_array_equal(gradnorm.first_losses, [3.0, 4.0, 2.0])
    before = gradnorm.task_weights.numpy()
    weights = gradnorm(losses=[0.0, 1.0, 2.0], **late).numpy()
    assert weights[0] == before[0]
    np.testing.assert_allclose(weights.sum(), 3.0, rtol=1e-6)


def test_reads_the_last_shared_layer():
    assert GradNorm().scope == "last_shared_layer"
    assert GradNorm.scales_heads


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"asymmetry": -1},
            "Argument `asymmetry` must be at least 0. Received: asymmetry=-1",
        ),
        (
            {"learning_rate": 0.0},
            "Argument `learning_rate` must be greater than 0. "
            "Received: learning_rate=0.0",
        ),
        (
            {"scope": ["block2", "all"]},
            "Argument `scope` must be one of ['auto', 'representation', "
            "'last_shared_layer', 'shared', 'all'], the name of a layer or a "
            "list of names of layers. Received: scope=['block2', 'all']",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        GradNorm(**arguments)
    assert str(error.value) == message
