"""Mixed precision: signals in float32, overflow without a trace."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.gradients import TaskGradients
from keras_mtl.precision import loss_scale
from tests.training import (
    differing,
    make_data,
    new_model,
    read,
    state,
    step,
)


def mixed(weighter="uniform", policy="mixed_float16", scale=None, **kwargs):
    """Returns a model under a mixed policy, with plain SGD inside."""
    keras.config.set_dtype_policy(policy)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    if scale is not None:
        optimizer = keras.optimizers.LossScaleOptimizer(
            optimizer, initial_scale=scale, dynamic_growth_steps=3
        )
    model = new_model(weighter, optimizer, **kwargs)
    step(model, 0)  # Makes the loss scale a variable.
    return model


def signals(model, data):
    """Returns what weighters read, measured as in training."""
    scale = loss_scale(model.optimizer)
    batch = TaskGradients(model, (*data, None), training=True, scale=scale)
    return {
        "losses": batch.losses,
        "representation": batch.gramian("representation"),
        "shared": batch.gramian("shared"),
        "norms": batch.norms("last_shared_layer"),
    }


@pytest.mark.parametrize(
    ("policy", "accuracy"), [("mixed_float16", 5e-3), ("mixed_bfloat16", 4e-2)]
)
def test_signals_are_float32_and_without_the_loss_scale(policy, accuracy):
    model = mixed(policy=policy)
    is_float16 = policy == "mixed_float16"
    assert (float(loss_scale(model.optimizer)) > 1000.0) == is_float16
    keras.config.set_dtype_policy("float32")
    plain = new_model()
    plain.set_weights(model.get_weights())
    data = make_data(12, 5)

    received, expected = signals(model, data), signals(plain, data)

    for name, value in expected.items():
        assert received[name].dtype == tf.float32
        error = np.max(np.abs(received[name] - value)) / np.max(np.abs(value))
        assert error < accuracy, name


@pytest.mark.parametrize(
    ("name", "jit_compile"),
    [("slaw", True), ("uncertainty", False), ("pcgrad", False)],
)
def test_overflow_only_lowers_the_loss_scale(name, jit_compile):
    model = mixed(
        name, scale=8.0, model={"batch_norm": True}, jit_compile=jit_compile
    )
    model.optimizer.dynamic_scale.assign(2.0**40)
    before = state(model, optimizer=False)
    inner = read(model.optimizer.inner_optimizer.variables)

    logs = step(model, 1)

    assert not differing(state(model, optimizer=False), before)
    after = read(model.optimizer.inner_optimizer.variables)
    np.testing.assert_equal(after, inner)
    assert float(model.optimizer.dynamic_scale) == 2.0**39
    assert logs["skipped_steps"] == 1.0


def test_only_a_lost_loss_scale_warns():
    """Overflow finds the scale; where nothing helps, the data are wrong."""
    model = mixed(scale=8.0)
    x, y = make_data()
    model.optimizer.dynamic_scale.assign(2.0**40)
    history = model.fit(x, y, verbose=0).history
    assert history["skipped_steps"] == [1.0]
    y["stars"][0] = np.nan
    model.optimizer.dynamic_scale.assign(1.0)
    with pytest.warns(UserWarning, match="1 steps of epoch 1 were skipped"):
        model.fit(x, y, verbose=0)


@pytest.mark.parametrize("name", ["slaw", "mgda"])
def test_the_loss_scale_grows_again(name):
    model = mixed(name, scale=2.0**40)
    scales = []
    for number in range(60):
        step(model, number)
        scales.append(float(model.optimizer.dynamic_scale))
    lowest = int(np.argmin(scales))
    assert scales[lowest] < 2.0**36
    assert max(scales[lowest:]) > scales[lowest]
    assert np.all(np.isfinite(list(model.task_weights.values())))
    assert all(np.all(np.isfinite(v)) for v in read(model.trainable_variables))


@pytest.mark.parametrize("name", ["slaw", "gradnorm"])
def test_a_mixed_step_is_the_float32_step(name):
    """The same update within float16's accuracy, loss scale and all."""
    model = mixed(name, scale=1024.0)
    keras.config.set_dtype_policy("float32")
    plain = new_model(name, keras.optimizers.SGD(0.01, momentum=0.9))
    step(plain, 0)
    for number in range(1, 6):
        step(model, number)
        step(plain, number)
    for mine, other in zip(
        read(model.trainable_variables),
        read(plain.trainable_variables),
        strict=True,
    ):
        np.testing.assert_allclose(mine, other, atol=5e-3)
    np.testing.assert_allclose(
        list(model.task_weights.values()),
        list(plain.task_weights.values()),
        rtol=2e-2,
    )


def test_xla_sees_the_parameters_after_a_scaled_update():
    """The query pass follows the update; an overflow skips both."""
    model = mixed("meta_weighting", scale=64.0, jit_compile=True)
    keras.config.set_dtype_policy("float32")
    plain = new_model(
        "meta_weighting", keras.optimizers.SGD(0.01, momentum=0.9)
    )
    step(plain, 0)
    for either in (model, plain):
        # At a long step, query gradients at the old parameters are others.
        either.optimizer.learning_rate = 0.3
        for number in range(1, 3):
            step(either, number)
    moved = [
        np.array(list(either.task_weights.values())) - 1.0
        for either in (model, plain)
    ]
    assert np.max(np.abs(moved[1])) > 1e-3
    np.testing.assert_allclose(*moved, atol=0.03 * np.max(np.abs(moved[1])))

    model.optimizer.dynamic_scale.assign(2.0**40)
    before = state(model, optimizer=False)
    assert step(model, 3)["skipped_steps"] == 1.0
    assert not differing(state(model, optimizer=False), before)
