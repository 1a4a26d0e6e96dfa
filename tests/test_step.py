"""One training step against the papers' formulas in float64 NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import weighters
from keras_mtl.gradients import TaskGradients
from keras_mtl.signals import measure
from keras_mtl.weighters import MetaWeighting
from tests.reference import (
    jacobian,
    make_data,
    make_model,
    min_norm_weights,
    parameters,
    task_losses,
)

LEARNING_RATE = 0.05


def compiled(model, weighter, **kwargs):
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE),
        loss="mse",
        weighter=weighter,
        jit_compile=False,
        **kwargs,
    )
    return model


def separate_inputs(num_tasks, rows, seed):
    x, y = {}, {}
    for k in range(num_tasks):
        inputs, labels = make_data(num_tasks, rows + k, seed=seed + k)
        x[f"task_{k}"], y[f"task_{k}"] = inputs, labels[f"task_{k}"]
    return x, y


def batches(kind, num_tasks, rows=6):
    make = separate_inputs if kind == "separate" else make_data
    return make(num_tasks, rows, seed=1), make(num_tasks, rows + 3, seed=9)


@pytest.mark.parametrize("fixed", [(1.0, 1.0, 1.0), (0.5, 4.0, 1.5)])
@pytest.mark.parametrize("kind", ["shared", "separate"])
def test_meta_weighting_hypergradients_are_finite_differences(kind, fixed):
    """`K d_t[j] = ∂L_t^q(θ - η Σ_j w_j c_j g_j)/∂w_j` (seed 001)."""
    num_tasks, eta = 3, LEARNING_RATE
    model = make_model(num_tasks)
    loss_weights = dict(zip(model.task_names, fixed, strict=True))
    compiled(model, "uniform", loss_weights=loss_weights)
    support, query = batches(kind, num_tasks)
    theta = parameters(model)
    gradients = jacobian(lambda t: task_losses(model, t, *support), theta)

    def query_losses(weights):
        return task_losses(
            model, theta - eta * (weights * fixed) @ gradients, *query
        )

    weights, step = np.ones(num_tasks), 1e-5
    expected = np.stack(
        [
            (query_losses(weights + e) - query_losses(weights - e)) / (2 * step)
            for e in step * np.eye(num_tasks)
        ],
        axis=1,
    )

    before = TaskGradients(model, (*support, None), training=True)
    variables = model.trainable_variables
    pulled = before.combined(tf.ones(num_tasks), variables)
    before.gramian("all")  # Measured at the old parameters.
    model.optimizer.build(variables)
    model.optimizer.apply(pulled, variables)
    after = TaskGradients(model, (*query, None), training=False)
    name = "query_support_gramian"
    signals = measure([name], before, after, "all", 0.0, eta)
    hypergradients = -eta / num_tasks * signals[name].numpy()

    relative = np.abs(num_tasks * hypergradients - expected)
    assert np.max(relative) / np.max(np.abs(expected)) < 1e-4


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("kind", ["shared", "separate"])
def test_meta_weighting_step_is_algorithm_1(kind, jit_compile):
    """Seed 001, Algorithm 1, in NumPy, for three steps."""
    num_tasks, alpha, eta = 3, 0.5, LEARNING_RATE
    model = make_model(num_tasks)
    compiled(model, MetaWeighting(step_size=alpha))
    model.jit_compile = jit_compile
    support, query = batches(kind, num_tasks)
    theta, weights = parameters(model), np.ones(num_tasks)

    for _ in range(3):
        model.train_on_batch(*support, query_data=query)
        old = jacobian(lambda t: task_losses(model, t, *support), theta)
        theta = theta - eta * weights @ old
        new = jacobian(lambda t: task_losses(model, t, *query), theta)
        d = -(eta / num_tasks) * new @ old.T
        weights = weights - alpha * min_norm_weights(d @ d.T) @ d

    np.testing.assert_allclose(parameters(model), theta, rtol=1e-4, atol=1e-6)
    trained = np.array(list(model.task_weights.values()))
    assert np.max(np.abs(weights - 1)) > 1e-3
    np.testing.assert_allclose(trained - 1, weights - 1, rtol=1e-3)


@pytest.mark.parametrize("name", ["constant", "gradnorm", "uncertainty"])
def test_loss_weights_scale_the_whole_task_loss(name):
    """θ ← θ - η Σ_k c_k w_k ∇L_k, heads included (METHODS.md, Heads).

    What a weighter trains descends alike: s_k ← s_k - η (½ - c_k w_k L_k).
    """
    weighter = weighters.get(name)
    if name == "constant":
        weighter = weighters.Constant([2.0, 0.5])
    fixed = {"task_0": 3.0, "task_1": 0.25}
    model = compiled(make_model(2), weighter, loss_weights=fixed)
    x, y = make_data(2)
    theta = parameters(model)
    losses = task_losses(model, theta, x, y)
    gradients = jacobian(lambda t: task_losses(model, t, x, y), theta)

    model.train_on_batch(x, y)

    weights = np.array(list(model.task_weights.values()))
    total = weights * list(fixed.values())
    expected = theta - LEARNING_RATE * total @ gradients
    np.testing.assert_allclose(
        parameters(model), expected, rtol=1e-5, atol=1e-6
    )
    if name == "uncertainty":  # Whose weights of regression start at 1.
        expected = np.log(0.5) - LEARNING_RATE * (0.5 - total * losses)
        np.testing.assert_allclose(weighter.log_variance, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["mgda", "pcgrad"])
@pytest.mark.parametrize("fixed", [(1.0, 10.0), (20.0, 0.5)])
def test_aggregators_weigh_the_gradients_that_are_added_up(name, fixed):
    """Of `c_k L_k` as of a loss that has the factor `c_k` in it."""
    x, y = make_data(2)
    settings = {"scope": "shared"}
    if name == "pcgrad":
        settings["shuffle"] = False
    weighter = weighters.get({"class_name": name, "config": settings})
    model = make_model(2)
    loss_weights = dict(zip(model.task_names, fixed, strict=True))
    compiled(model, weighter, loss_weights=loss_weights)
    theta = parameters(model)
    gradients = jacobian(lambda t: task_losses(model, t, x, y), theta)
    shared = sum(np.prod(v.shape) for v in model.encoder.trainable_variables)
    scaled = np.array(fixed)[:, None] * gradients[:, :shared]

    model.train_on_batch(x, y)

    weights = np.array(list(model.task_weights.values()))
    reference = type(weighter).from_config(weighter.get_config())
    expected = reference(gramian=scaled @ scaled.T)
    np.testing.assert_allclose(weights, expected, rtol=1e-4)
    step = (theta - parameters(model))[:shared] / LEARNING_RATE
    np.testing.assert_allclose(step, weights @ scaled, rtol=1e-3, atol=1e-5)
    # To first order no task's loss rises.
    assert np.all(scaled @ step > -1e-5 * np.max(np.abs(scaled @ step)))


def test_a_task_without_loss_weight_counts_as_absent():
    """A gradient of nothing is no reason to stand still."""
    model = make_model(2)
    fixed = {model.task_names[0]: 0.0}
    compiled(model, weighters.MGDA(scope="shared"), loss_weights=fixed)
    theta = parameters(model)
    model.train_on_batch(*make_data(2))
    assert list(model.task_weights.values()) == [0.0, 1.0]
    assert np.any(parameters(model) != theta)


@pytest.mark.parametrize(
    ("weighter", "scope"),
    [
        (weighters.MGDA(scope="shared"), "shared"),
        (weighters.MGDA(), "representation"),
        (weighters.PCGrad(shuffle=False), "shared"),
    ],
)
def test_aggregators_leave_the_heads_their_plain_gradient(weighter, scope):
    """Shared: Σ_k w_k ∇L_k; head k: ∇L_k (METHODS.md, Heads)."""
    model = compiled(make_model(2), weighter)
    x, y = make_data(2)
    theta = parameters(model)
    gradients = jacobian(lambda t: task_losses(model, t, x, y), theta)
    num_shared = sum(
        np.prod(v.shape) for v in model.encoder.trainable_variables
    )
    shared = gradients[:, :num_shared]
    if scope == "representation":
        gramian = representation_gramian(model, x, y)
    else:
        gramian = shared @ shared.T

    model.train_on_batch(x, y)

    weights = np.array(list(model.task_weights.values()))
    reference = type(weighter).from_config(weighter.get_config())
    np.testing.assert_allclose(weights, reference(gramian=gramian), rtol=1e-4)
    step = gradients.sum(axis=0)
    step[:num_shared] = weights @ shared
    expected = theta - LEARNING_RATE * step
    np.testing.assert_allclose(
        parameters(model), expected, rtol=1e-5, atol=1e-6
    )


def representation_gramian(model, x, y):
    """Returns `G` of a linear head and a mean squared error, in closed form."""
    hidden = np.tanh(
        np.float64(x) @ model.encoder.layers[1].kernel.value.numpy()
    )
    rows = []
    for task, head in model.heads.items():
        kernel = head.kernel.value.numpy()
        error = hidden @ kernel + head.bias.value.numpy() - np.float64(y[task])
        rows.append(np.ravel(2 * error @ kernel.T / error.size))
    rows = np.stack(rows)
    return rows @ rows.T


@pytest.mark.parametrize("kind", ["shared", "separate"])
@pytest.mark.parametrize("scope", ["last_shared_layer", "shared", "all"])
def test_gramian_and_norms_match_the_jacobian(kind, scope):
    model = compiled(make_model(3), "uniform")
    (x, y), _ = batches(kind, 3)
    gradients = jacobian(
        lambda t: task_losses(model, t, x, y), parameters(model)
    )
    if scope != "all":
        num_shared = sum(
            np.prod(v.shape) for v in model.encoder.trainable_variables
        )
        gradients = gradients[:, :num_shared]
    expected = gradients @ gradients.T

    batch = TaskGradients(model, (x, y, None), training=True)

    scale = np.max(expected)
    assert np.max(np.abs(batch.gramian(scope) - expected)) < 1e-5 * scale
    norms = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(batch.norms(scope), norms, rtol=1e-5)


def test_separate_representations_have_a_diagonal_gramian():
    model = compiled(make_model(3), "uniform")
    (x, y), _ = batches("separate", 3)
    batch = TaskGradients(model, (x, y, None), training=True)
    gramian = batch.gramian("representation").numpy()
    assert np.all(np.diag(gramian) > 0)
    np.testing.assert_array_equal(gramian, np.diag(np.diag(gramian)))
