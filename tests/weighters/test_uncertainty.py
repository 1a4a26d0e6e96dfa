import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.weighters import Uncertainty
from tests.reference import make_model


def bound(kind=None, tasks=("a", "b"), kinds=None):
    weighter = Uncertainty(kind)
    if kinds:
        weighter.set_kinds(kinds)
    weighter.bind(len(tasks), tasks)
    return weighter


def train(weighter, losses, steps=400, rate=0.1, present=None):
    """Gradient descent on the log variances, at fixed losses."""

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            weights = weighter(losses=losses, present=present)
            total = tf.reduce_sum(weights * losses) + sum(weighter.losses)
        gradient = tape.gradient(total, weighter.log_variance.value)
        weighter.log_variance.assign_sub(rate * gradient)

    for _ in range(steps):
        step()
    return weighter.log_variance.numpy()


@pytest.mark.parametrize("kind", ["regression", "classification", None])
def test_weights_start_at_one(kind):
    np.testing.assert_allclose(bound(kind)(losses=[3.0, 4.0]), 1.0, rtol=1e-6)


def test_log_variance_is_the_only_trainable_variable():
    weighter = bound()
    (log_variance,) = weighter.trainable_variables
    assert log_variance is weighter.log_variance
    assert log_variance.name == "log_variance"
    assert log_variance.dtype == "float32"
    assert log_variance.regularizer is None


# The optimum of exp(-s) L / 2 + s / 2 is log L, of exp(-s) L + s / 2 log 2L.
@pytest.mark.parametrize("losses", [[0.5, 2.0], [0.1, 7.0]])
def test_log_variances_reach_their_closed_form(losses):
    losses = np.float32(losses)
    regression = train(bound("regression"), losses)
    np.testing.assert_allclose(regression, np.log(losses), atol=1e-4)
    classification = train(bound("classification"), losses)
    np.testing.assert_allclose(classification, np.log(2 * losses), atol=1e-4)
    mixed = train(bound(["classification", "regression"]), losses)
    np.testing.assert_allclose(mixed, [classification[0], regression[1]])


def test_descent_follows_the_formula_in_float64():
    losses = np.float32([0.3, 5.0])
    trained = train(bound(), losses, steps=300, rate=0.01)
    expected = np.full(2, -np.log(2.0))
    for _ in range(300):
        expected -= 0.01 * (0.5 - 0.5 * np.exp(-expected) * losses)
    np.testing.assert_allclose(trained, expected, rtol=1e-5)


def test_absent_task_keeps_its_log_variance():
    before = bound().log_variance.numpy()
    after = train(bound(), np.float32([0.0, 2.0]), 10, present=[0.0, 1.0])
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_calls_do_not_pile_up_penalties():
    weighter = bound()
    for _ in range(3):
        weighter(losses=[1.0, 2.0])
    assert len(weighter.losses) == 1
    np.testing.assert_allclose(weighter.losses[0], np.log(0.5), rtol=1e-6)


def test_the_users_kind_precedes_the_models():
    kinds = {"a": "classification", "b": "classification"}
    weighter = bound({"a": None, "b": "regression"}, kinds=kinds)
    np.testing.assert_allclose(weighter.log_variance, [0.0, np.log(0.5)])
    assert weighter.get_config()["kind"] == {"a": None, "b": "regression"}
    assert bound(kinds=kinds).get_config()["kind"] is None


def test_kinds_may_be_set_again_once_built():
    weighter = bound()
    weighter.set_kinds({"a": "classification", "b": "regression"})
    np.testing.assert_allclose(weighter(losses=[1.0, 1.0]), [2.0, 1.0])


def test_compiling_again_for_another_loss_sets_the_kinds():
    weighter, model = Uncertainty(), make_model(1)
    weights = []
    for loss in ("mse", "binary_crossentropy"):
        model.compile("sgd", loss=loss, weighter=weighter)
        weights.append(float(weighter(losses=[1.0])[0]))
    assert weights[1] == 2 * weights[0]


def test_errors():
    with pytest.raises(ValueError) as error:
        Uncertainty("regresion")
    assert str(error.value) == (
        "Argument `kind` must be one of ['regression', 'classification']. "
        "Received: kind='regresion'. Did you mean 'regression'?"
    )
    with pytest.raises(ValueError) as error:
        bound({"a": "regression"})
    assert str(error.value) == (
        "Argument `kind` must name the model's tasks ['a', 'b']. "
        "Received: kind={'a': 'regression'}"
    )
    with pytest.raises(ValueError) as error:
        bound(["regression"])
    assert str(error.value) == (
        "Argument `kind` must have one entry for each of the 2 tasks. "
        "Received: kind=['regression']"
    )
