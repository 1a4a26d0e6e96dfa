"""Mixed precision: signals in float32, overflow without a trace."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.gradients import TaskGradients
from keras_mtl.layers import StackedHeads
from keras_mtl.precision import loss_scale
from tests import reference
from tests.kinds import KINDS
from tests.training import (
    TASKS,
    differing,
    make_data,
    new_model,
    read,
    separate,
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


def signals(model, data, query):
    """Returns what weighters read, measured as in training."""
    scale = loss_scale(model.optimizer)
    batch = TaskGradients(model, (*data, None), training=True, scale=scale)
    query = TaskGradients(model, (*query, None), training=False, scale=scale)
    return {
        "losses": batch.losses,
        "representation": batch.gramian("representation"),
        "shared": batch.gramian("shared"),
        "all": batch.gramian("all"),
        "norms": batch.norms("last_shared_layer"),
        "norms at the representation": batch.norms("representation"),
        "query losses": query.losses,
        "query and support": query.gramian("shared", batch),
    }


def assert_signals_agree(model, plain, data, query, accuracy):
    """Both measure the same, in float32."""
    plain.set_weights(model.get_weights())
    received = signals(model, data, query)
    for name, value in signals(plain, data, query).items():
        assert received[name].dtype == tf.float32
        error = np.max(np.abs(received[name] - value)) / np.max(np.abs(value))
        assert error < accuracy, name


POLICIES = [("mixed_float16", 5e-3), ("mixed_bfloat16", 4e-2)]


@pytest.mark.parametrize("arranged", [lambda data: data, separate])
@pytest.mark.parametrize(("policy", "accuracy"), POLICIES)
def test_signals_are_float32_and_without_the_loss_scale(
    policy, accuracy, arranged
):
    model = mixed(policy=policy)
    is_float16 = policy == "mixed_float16"
    assert (float(loss_scale(model.optimizer)) > 1000.0) == is_float16
    keras.config.set_dtype_policy("float32")
    data, query = (arranged(make_data(12, seed)) for seed in (5, 6))
    assert_signals_agree(model, new_model(), data, query, accuracy)


@pytest.mark.parametrize(("policy", "accuracy"), POLICIES)
def test_signals_of_stacked_heads(policy, accuracy):
    data, query = (
        (x, np.concatenate([y["tone"], y["stars"] > 0], axis=1))
        for x, y in (make_data(12, seed) for seed in (5, 6))
    )
    models = []
    for each in (policy, "float32"):
        keras.config.set_dtype_policy(each)
        heads = StackedHeads(["a", "b", "c"], activation="sigmoid")
        model = MultiTaskModel(keras.layers.Dense(5, "tanh"), heads)
        model.compile("sgd", loss="binary_crossentropy", jit_compile=False)
        model.train_on_batch(*data)
        models.append(model)
    assert_signals_agree(*models, data, query, accuracy)


def test_the_loss_scale_is_no_part_of_what_a_graph_measures():
    """Where one pass over the sum of all tasks' losses serves them all."""
    model, data = reference.make_model(), reference.make_data()
    model.compile("sgd", loss="mse", jit_compile=False)

    @tf.function(autograph=False)
    def measure(scale):
        batch = TaskGradients(model, (*data, None), True, scale, scope="all")
        return batch.gramian("representation"), batch.norms("shared")

    every = measure(tf.constant(1.0)), measure(tf.constant(64.0))
    for plain, scaled in zip(*every, strict=True):
        np.testing.assert_allclose(scaled, plain, rtol=1e-5)


@pytest.mark.parametrize("name", ["slaw", "mgda"])
def test_losses_beyond_float16_are_measured(name):
    """Squares of 1e3 are above 65504, the largest float16."""
    model = mixed(name, scale=2.0**-6)
    x, y = make_data()
    y["stars"] += 1e3
    logs = model.train_on_batch(x, y, return_dict=True)
    assert logs["skipped_steps"] == 0.0
    np.testing.assert_allclose(logs["stars_loss"], 1e6, rtol=0.05)


@pytest.mark.parametrize(("factor", "scale"), [(1e-6, 2.0**14), (1e5, 0.0625)])
@pytest.mark.parametrize("name", ["uniform", "mgda"])
def test_weights_beyond_float16_scale_the_gradient(name, factor, scale):
    """In exchange for the learning rate, they change nothing."""
    moves = []
    for policy in ("mixed_float16", "float32"):
        keras.config.set_dtype_policy(policy)
        optimizer = keras.optimizers.SGD(0.01 / factor)
        if policy == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(
                optimizer, initial_scale=scale
            )
        weights = dict.fromkeys(TASKS, factor)
        model = new_model(name, optimizer, loss_weights=weights)
        (before, *_) = read(model.trainable_variables)
        assert step(model, 0)["skipped_steps"] == 0.0
        (after, *_) = read(model.trainable_variables)
        moves.append(after - before)
    largest = np.max(np.abs(moves[1]))
    assert largest > 1e-4
    np.testing.assert_allclose(*moves, rtol=0, atol=1e-2 * largest)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_embeddings_train(policy):
    """Gradients of tables are sparse, and unscaled like others."""
    x = np.random.default_rng(0).integers(0, 20, (12, 3))
    _, y = make_data()
    tables = []
    for each in (policy, "float32"):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(each)
        inputs = keras.Input((3,), dtype="int32")
        rows = keras.layers.Embedding(20, 4)(inputs)
        encoder = keras.Model(inputs, keras.layers.Flatten()(rows))
        heads = {task: keras.layers.Dense(2) for task in ("one", "two")}
        model = MultiTaskModel(encoder, heads)
        model.compile(
            keras.optimizers.SGD(0.1, global_clipnorm=0.5),
            loss="mse",
            weighter=weighters.MGDA(scope="shared"),
            jit_compile=False,
        )
        labels = dict.fromkeys(heads, y["stars"])
        logs = model.train_on_batch(x, labels, return_dict=True)
        assert logs["skipped_steps"] == 0.0
        tables.append(read(encoder.trainable_variables)[0])
    np.testing.assert_allclose(*tables, atol=2e-3)


@pytest.mark.parametrize("name", KINDS)
def test_an_overflow_is_no_step_for_any_weighter(name):
    model = mixed(name, scale=8.0, run_eagerly=True)
    model.optimizer.dynamic_scale.assign(2.0**40)
    before = state(model, optimizer=False)
    inner = read(model.optimizer.inner_optimizer.variables)
    assert step(model, 1)["skipped_steps"] == 1.0
    assert not differing(state(model, optimizer=False), before)
    after = read(model.optimizer.inner_optimizer.variables)
    np.testing.assert_equal(after, inner)
    assert float(model.optimizer.dynamic_scale) == 2.0**39


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
    y["stars"][0] = 3e38  # Its square overflows.
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
