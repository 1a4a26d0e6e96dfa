"""Clipping and averages of Keras' optimizers, beside every weighter."""

import keras
import numpy as np
import pytest

from tests.kinds import KINDS
from tests.training import (
    differing,
    make_data,
    new_model,
    read,
    seeded,
    state,
    step,
)

RATE = 0.05


def scaled(optimizer):
    """Returns the optimizer that the current policy needs."""
    if keras.config.dtype_policy().name != "mixed_float16":
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0**6)


def gradient(name, policy, **clip):
    """Returns the gradient of one step's update, by variable."""
    keras.config.set_dtype_policy(policy)
    optimizer = scaled(keras.optimizers.SGD(RATE, **clip))
    model = new_model(seeded(name), optimizer, run_eagerly=True)
    before = read(model.trainable_variables)
    assert step(model, 1)["skipped_steps"] == 0.0
    after = read(model.trainable_variables)
    return [(a - b) / RATE for a, b in zip(before, after, strict=True)]


def norm(*arrays):
    return float(
        np.sqrt(sum(np.sum(np.float64(array) ** 2) for array in arrays))
    )


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        *((name, "float32") for name in KINDS),
        ("uncertainty", "mixed_float16"),
        ("pcgrad", "mixed_float16"),
        ("slaw", "mixed_bfloat16"),
    ],
)
def test_the_sum_of_the_weighted_tasks_is_clipped(name, policy):
    """By the definition of each clipping, without the loss scale."""
    free = gradient(name, policy)
    limit = 0.5 * max(norm(g) for g in free)
    expected = {
        "clipnorm": [g * min(1.0, limit / max(norm(g), 1e-9)) for g in free],
        "global_clipnorm": [g * limit / norm(*free) for g in free],
        "clipvalue": [np.clip(g, -0.3 * limit, 0.3 * limit) for g in free],
    }
    assert norm(*free) > limit
    for how, clipped in expected.items():
        value = 0.3 * limit if how == "clipvalue" else limit
        received = gradient(name, policy, **{how: value})
        for mine, other in zip(received, clipped, strict=True):
            np.testing.assert_allclose(
                mine, other, rtol=1e-4, atol=1e-5, err_msg=how
            )


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("name", ["slaw", "uncertainty", "meta_weighting"])
def test_averages_follow_the_parameters_and_replace_them(name, policy):
    """`a ← m a + (1 - m) θ`, and θ ← a after every second update."""
    keras.config.set_dtype_policy(policy)
    inner = keras.optimizers.SGD(
        RATE, use_ema=True, ema_momentum=0.75, ema_overwrite_frequency=2
    )
    mode = {"run_eagerly": name != "slaw"}
    model = new_model(name, scaled(inner), **mode)
    plain = new_model(name, scaled(keras.optimizers.SGD(RATE)), **mode)
    average = None
    for number in range(4):
        plain.set_weights(model.get_weights())
        step(model, number)
        step(plain, number)
        latest = read(plain.trainable_variables)
        pairs = zip(average or latest, latest, strict=True)
        average = [0.75 * a + 0.25 * value for a, value in pairs]
        accuracy = {"rtol": 1e-5, "atol": 1e-6}
        for mine, expected in zip(
            read(inner._model_variables_moving_average), average, strict=True
        ):
            np.testing.assert_allclose(mine, expected, **accuracy)
        for mine, expected in zip(
            read(model.trainable_variables),
            average if number % 2 else latest,
            strict=True,
        ):
            np.testing.assert_allclose(mine, expected, **accuracy)


@pytest.mark.filterwarnings("ignore:1 steps of epoch 1 were skipped")
def test_fit_ends_with_the_averages_which_a_skipped_step_leaves_alone():
    optimizer = keras.optimizers.SGD(RATE, use_ema=True, ema_momentum=0.9)
    model = new_model("uncertainty", optimizer, jit_compile=True)
    for number in range(3):
        step(model, number)
    averages = read(optimizer._model_variables_moving_average)
    x, y = make_data()
    y["stars"][0] = 3e38  # Its square overflows.
    before = state(model)
    model.train_on_batch(x, y)
    assert not differing(state(model), before)
    model.fit(x, y, verbose=0)
    np.testing.assert_equal(read(model.trainable_variables), averages)
