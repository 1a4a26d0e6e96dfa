"""What a weighter returns is what the step's update is made of."""

import keras
import numpy as np
import pytest

from keras_mtl.weighters import GradientWeighter, Weighter
from tests.reference import (
    jacobian,
    make_data,
    make_model,
    parameters,
    task_losses,
)

RATE, FIXED = 0.1, np.array([0.5, 2.0, 1.0])
SHARED, HEADS = np.array([0.2, 1.5, 0.7]), np.array([3.0, 0.5, 1.2])
TRUNK = 4 * 5 + 5  # The numbers of the shared layer come first.


class OfLosses(Weighter):
    def call(self, losses):
        return losses * 0.0 + SHARED, losses * 0.0 + HEADS


class OfGradients(GradientWeighter):
    def call(self, gradient_norms):
        zero = gradient_norms * 0.0
        return zero + SHARED, zero + HEADS


@pytest.mark.parametrize("kind", ["shared", "separate"])
@pytest.mark.parametrize(
    "weighter",
    [
        OfLosses,
        lambda: OfGradients(scope="representation"),
        lambda: OfGradients(scope="shared"),
        lambda: OfGradients(scope="all"),
    ],
    ids=["losses", "representation", "shared", "all"],
)
def test_two_vectors_weigh_trunk_and_heads(weighter, kind):
    """`θ - η Σ_k w_k c_k ∇L_k`, with `w_k` of trunk or head (float64)."""
    model = make_model(3)
    x, y = make_data(3)
    if kind == "separate":
        x = {task: x + 0.1 * k for k, task in enumerate(y)}
    theta = parameters(model)
    gradients = jacobian(lambda t: task_losses(model, t, x, y), theta)
    gradients[:, :TRUNK] *= (SHARED * FIXED)[:, None]
    gradients[:, TRUNK:] *= (HEADS * FIXED)[:, None]
    model.compile(
        keras.optimizers.SGD(RATE),
        loss="mse",
        loss_weights=dict(zip(model.task_names, FIXED.tolist(), strict=True)),
        weighter=weighter(),
        jit_compile=False,
    )

    model.train_on_batch(x, y)

    expected = -RATE * gradients.sum(axis=0)
    np.testing.assert_allclose(
        parameters(model) - theta, expected, rtol=1e-4, atol=1e-6
    )
    weights = list(model.task_weights.values())
    np.testing.assert_allclose(weights, SHARED, rtol=1e-6)
