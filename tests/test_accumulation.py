"""Gradient accumulation: what an update is made of, and who learns from it."""

import keras
import numpy as np
import pytest

from keras_mtl import weighters
from keras_mtl.weighters import MetaWeighting
from tests import reference
from tests.kinds import KINDS
from tests.reference import jacobian, min_norm_weights, task_losses
from tests.training import (
    differing,
    make_data,
    new_model,
    query_for,
    read,
    seeded,
    state,
    step,
)

RATE, PARTS, ROWS = 0.05, 3, 4
MODES = [{"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}]


def sgd(steps=PARTS, **kwargs):
    arguments = {"momentum": 0.9, **kwargs}
    return keras.optimizers.SGD(
        RATE, gradient_accumulation_steps=steps, **arguments
    )


def scaled(optimizer):
    """Returns the optimizer that the current policy needs."""
    if keras.config.dtype_policy().name != "mixed_float16":
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0**6)


def micro_batches(seed):
    """Returns a batch, and its rows in parts of equal size."""
    x, y = make_data(PARTS * ROWS, seed)
    parts = [slice(ROWS * k, ROWS * (k + 1)) for k in range(PARTS)]
    return (x, y), [
        (x[rows], {task: label[rows] for task, label in y.items()})
        for rows in parts
    ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("policy", "accuracy"), [("float32", 1e-5), ("mixed_float16", 1e-2)]
)
def test_uniform_micro_batches_are_one_step_on_the_batch(
    policy, accuracy, mode
):
    keras.config.set_dtype_policy(policy)
    model = new_model(optimizer=scaled(sgd()), **mode)
    whole = new_model(optimizer=scaled(sgd(None)), run_eagerly=True)
    before = read(whole.trainable_variables)
    for seed in range(2):
        batch, parts = micro_batches(seed)
        for part in parts:
            model.train_on_batch(*part)
        whole.train_on_batch(*batch)
    for start, mine, expected in zip(
        before,
        read(model.trainable_variables),
        read(whole.trainable_variables),
        strict=True,
    ):
        largest = np.max(np.abs(expected - start))
        assert largest > 1e-3
        np.testing.assert_allclose(
            mine - start, expected - start, atol=accuracy * largest, rtol=0
        )


class Recorder(keras.optimizers.SGD):
    """Moves nothing, and keeps the gradients that it is given."""

    def apply(self, grads, trainable_variables=None):
        received = zip(trainable_variables, grads, strict=True)
        self.received.append({id(v): np.array(g) for v, g in received})


LOSS_AND_GRADIENT_WEIGHTERS = [
    name for name in KINDS if not weighters.get(name).observes
]


@pytest.mark.parametrize("name", LOSS_AND_GRADIENT_WEIGHTERS)
def test_each_micro_batch_has_its_own_weights(name):
    """θ ← θ - η mean_m Σ_k w_k^m g_k^m, and w^m follows from batch m."""
    model = new_model(seeded(name), sgd(momentum=0.0), run_eagerly=True)
    still = new_model(seeded(name), Recorder(RATE), run_eagerly=True)
    still.optimizer.received = []
    before = read(model.trainable_variables)
    for part in micro_batches(5)[1]:
        assert not differing(
            dict(enumerate(read(model.trainable_variables))),
            dict(enumerate(before)),
        )
        for either in (model, still):
            either.train_on_batch(*part)

    of_weighter = [
        read(m.weighter.non_trainable_variables) for m in (model, still)
    ]
    np.testing.assert_equal(*of_weighter)
    for variable, start, after in zip(
        still.trainable_variables,
        before,
        read(model.trainable_variables),
        strict=True,
    ):
        gradients = [g[id(variable)] for g in still.optimizer.received]
        expected = start - RATE * np.mean(gradients, axis=0)
        np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_query_data_teach_after_an_update_alone(jit_compile):
    """Algorithm 1 with the support gradients of the last micro-batch."""
    num_tasks, alpha = 3, 0.5
    model = reference.make_model(num_tasks)
    model.compile(
        sgd(2, momentum=0.0),
        loss="mse",
        weighter=MetaWeighting(step_size=alpha),
        jit_compile=jit_compile,
    )
    theta, weights = reference.parameters(model), np.ones(num_tasks)

    def gradients(data):
        return jacobian(lambda t: task_losses(model, t, *data), theta)

    for seed in range(3):
        parts = [
            reference.make_data(num_tasks, 6, seed=s + seed) for s in (1, 9)
        ]
        query = reference.make_data(num_tasks, 8, seed=50 + seed)
        model.train_on_batch(*parts[0], query_data=parts[1])
        np.testing.assert_allclose(
            reference.parameters(model), theta, rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            list(model.task_weights.values()), weights, rtol=1e-5
        )
        model.train_on_batch(*parts[1], query_data=query)
        first, last = map(gradients, parts)
        theta = theta - RATE * weights @ (first + last) / 2
        d = -(RATE / num_tasks) * gradients(query) @ last.T
        weights = weights - alpha * min_norm_weights(d @ d.T) @ d

    np.testing.assert_allclose(
        reference.parameters(model), theta, rtol=1e-4, atol=1e-6
    )
    trained = np.array(list(model.task_weights.values()))
    assert np.max(np.abs(weights - 1)) > 1e-3
    np.testing.assert_allclose(trained - 1, weights - 1, rtol=2e-3)


@pytest.mark.parametrize("name", ["slaw", "uncertainty", "meta_weighting"])
def test_a_spoilt_micro_batch_does_not_count(name):
    """The update waits for as many good ones."""
    model, kept = (
        new_model(name, sgd(), run_eagerly=name != "slaw") for _ in range(2)
    )
    for number in range(2 * PARTS):
        if number in (1, 3):
            x, y = make_data(seed=99)
            y["stars"][0] = 3e38  # Its square overflows.
            before = state(model)
            model.train_on_batch(x, y, query_data=query_for(name))
            assert not differing(state(model), before)
        step(model, number)
        step(kept, number)
    assert not differing(state(model), state(kept))


@pytest.mark.parametrize("name", ["slaw", "meta_weighting"])
def test_an_overflow_does_not_count(name):
    keras.config.set_dtype_policy("mixed_float16")
    model, kept = (
        new_model(
            name,
            scaled(sgd()),
            run_eagerly=name == "meta_weighting",
        )
        for _ in range(2)
    )
    for number in range(2 * PARTS):
        if number in (1, 3):
            model.optimizer.dynamic_scale.assign(2.0**40)
            before = state(model, optimizer=False)
            inner = read(model.optimizer.inner_optimizer.variables)
            assert step(model, 99)["skipped_steps"] == 1.0
            assert not differing(state(model, optimizer=False), before)
            after = read(model.optimizer.inner_optimizer.variables)
            np.testing.assert_equal(after, inner)
            model.optimizer.dynamic_scale.assign(2.0**6)
        step(model, number)
        step(kept, number)
    assert not differing(
        state(model, optimizer=False), state(kept, optimizer=False)
    )


@pytest.mark.parametrize("name", ["slaw", "meta_weighting"])
def test_a_run_goes_on_from_within_an_update(name, tmp_path):
    model = new_model(name, sgd(), run_eagerly=True)
    for number in range(PARTS + 1):
        step(model, number)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for number in range(PARTS + 1, 2 * PARTS):
        step(model, number)
        step(loaded, number)
    assert not differing(state(loaded), state(model))


def test_a_change_of_weighter_keeps_what_is_accumulated():
    model, whole = (
        new_model(optimizer=sgd(steps), run_eagerly=True)
        for steps in (PARTS, None)
    )
    batch, parts = micro_batches(0)
    model.train_on_batch(*parts[0])
    # It starts with weights of 1.
    model.fit(*parts[1], weighter="uncertainty", batch_size=ROWS, verbose=0)
    model.train_on_batch(*parts[2])
    whole.train_on_batch(*batch)
    for mine, expected in zip(
        read(reference.network_variables(model)),
        read(reference.network_variables(whole)),
        strict=True,
    ):
        np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "instead"),
    [
        (
            {"gradient_accumulation_steps": 2},
            "Train without it, on more replicas",
        ),
        (
            {"use_ema": True, "ema_overwrite_frequency": 3},
            "Average by use_ema=True alone",
        ),
    ],
)
def test_replicas_refuse_conditional_updates(strategy, settings, instead):
    (name, value) = list(settings.items())[-1]
    with strategy.scope():
        model = new_model("slaw", keras.optimizers.SGD(RATE, **settings))
    with pytest.raises(ValueError) as error:
        model.fit(*make_data(), verbose=0)
    assert str(error.value) == (
        f"Several replicas cannot train with an optimizer's `{name}`. "
        f"{instead}. Received: {name}={value}, 2 replicas"
    )
