"""One step on the whole objective, against float64 written out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import weighters
from keras_mtl.architectures import SharedPrivate, TaskDiscriminator
from keras_mtl.architectures.shared_private import difference
from keras_mtl.gradients import roles
from tests.architectures.adversarial import (
    GAMMA,
    LAMBDA,
    RATE,
    TASKS,
    build,
    compiled,
    data,
    numpy_difference,
    parts,
    reference,
)
from tests.reference import jacobian

NAMES = ("slaw", "tchebycheff", "gradnorm", "mgda", "meta_weighting")
CASES = [
    *((name, True) for name in ("constant", "pcgrad", *NAMES)),
    *((name, False) for name in ("constant", "pcgrad")),
]


def expected_step(model, before, weights, gradients, against=1.0):
    """Returns the parameters after a step of gradient descent.

    `Σ w_k ∇L_k + γ ∇L_diff + λ ∇L_adv`, the last turned around before the
    discriminator; heads and private parts by 1 where the weights are not
    theirs.
    """
    after = {}
    for role, variables in before.items():
        by_task = weights
        if role.split("/")[0] in ("head", "private"):
            by_task = weights if model.weighter.scales_heads else [1.0] * 3
        sign = 1.0 if role == "discriminator" else -against
        coefficients = [*by_task, GAMMA, sign * LAMBDA]
        after[role] = [
            v.numpy()
            - RATE * sum(c * g for c, g in zip(coefficients, gs, strict=True))
            for v, gs in zip(variables, gradients[role], strict=True)
        ]
    return after


def assert_close(model, expected):
    for role, variables in parts(model).items():
        for received, value in zip(variables, expected[role], strict=True):
            np.testing.assert_allclose(
                received, value, rtol=2e-5, atol=2e-6, err_msg=role
            )


@pytest.mark.parametrize(("name", "private"), CASES)
def test_three_steps_are_those_of_the_objective(name, private):
    # In a graph, gradients take other ways; these weighters read none.
    eagerly = name in ("slaw", "tchebycheff") or (name, private) == CASES[-2]
    model = compiled(name, private, eagerly=eagerly)
    for seed in range(3):
        x, y = data(seed=seed)
        query = data(seed=seed + 9) if model.weighter.observes else None
        before = parts(model)
        losses, gap, entropy, gradients = reference(model, x, y)
        used = np.array(list(model.task_weights.values()))
        logs = model.train_on_batch(x, y, query_data=query, return_dict=True)
        if not query:  # Otherwise those of the next step.
            used = np.array(list(model.task_weights.values()))
        expected = expected_step(model, before, used, gradients)
        assert_close(model, expected)
        assert logs["discriminator_loss"] == pytest.approx(entropy, rel=1e-5)
        total = used @ losses + GAMMA * gap + LAMBDA * entropy
        assert logs["loss"] == pytest.approx(total, rel=1e-4)
    if name in NAMES:
        assert np.ptp(used) > 0


def test_meta_weighting_learns_from_task_gradients_alone():
    """`d_t[j] = -(η/K) <∇L_t^q, ∇L_j^s>`, without the losses of no task."""
    model = compiled(weighters.MetaWeighting(step_size=0.5))
    (x, y), query = data(seed=1), data(seed=5)
    *_, old = reference(model, x, y)
    model.train_on_batch(x, y, query_data=query)
    *_, new = reference(model, *query)

    def rows(gradients):
        return np.stack(
            [
                np.concatenate(
                    [np.ravel(g[k]) for gs in gradients.values() for g in gs]
                )
                for k in range(3)
            ]
        )

    twin = weighters.MetaWeighting(step_size=0.5)
    expected = twin.observe(
        query_support_gramian=rows(new) @ rows(old).T, learning_rate=RATE
    )
    weights = np.array(list(model.task_weights.values()))
    np.testing.assert_allclose(weights - 1, expected - 1, rtol=1e-3)
    assert np.max(np.abs(weights - 1)) > 1e-4


def test_mgda_reads_the_gramian_of_the_shared_part():
    model = compiled("mgda")
    x, y = data()
    *_, gradients = reference(model, x, y)
    rows = np.stack(
        [
            np.concatenate([np.ravel(g[k]) for g in gradients["shared"]])
            for k in range(3)
        ]
    )
    model.train_on_batch(x, y)
    expected = weighters.MGDA()(gramian=rows @ rows.T)
    received = list(model.task_weights.values())
    np.testing.assert_allclose(received, expected, rtol=1e-4)


@pytest.mark.parametrize("above", [True, False])
def test_below_the_threshold_only_the_discriminator_trains(above):
    model = compiled(threshold=0.0 if above else 50.0, hidden_units=())
    x, y = data()
    before = parts(model)
    *_, gradients = reference(model, x, y)
    model.train_on_batch(x, y)
    expected = expected_step(model, before, [1.0] * 3, gradients, float(above))
    assert_close(model, expected)


@pytest.mark.parametrize("private", [True, False])
def test_who_owns_what(private):
    model = compiled(private=private)
    shared = model.encoder.shared if private else model.encoder
    of_discriminator = {id(v) for v in model.discriminator.variables}
    received = {id(v) for v in roles.shared_variables(model)}
    assert received == {id(v) for v in shared.trainable_variables}
    every = {id(v) for v in model.trainable_variables}
    own = {id(v) for v in roles.head_variables(model)}
    assert own == every - received - of_discriminator
    last = roles.scope_variables(model, "last_shared_layer")
    assert {id(v) for v in last} == received


def test_a_layer_within_two_extractors_is_shared():
    common = keras.layers.Dense(4)
    model = build()
    encoder = SharedPrivate(
        keras.Sequential([common, keras.layers.Dense(3)]),
        {
            task: keras.Sequential([common, keras.layers.Dense(2)])
            for task in TASKS
        },
    )
    model = type(model)(encoder, {t: keras.layers.Dense(2) for t in TASKS})
    x, y = data()
    model.compile("sgd", loss="mse", jit_compile=False)
    model.train_on_batch(x, y)
    shared = {id(v) for v in roles.shared_variables(model)}
    assert shared == {id(v) for v in encoder.shared.trainable_variables}


def test_the_difference_is_the_formula_and_its_gradient():
    rng = np.random.default_rng(0)
    for rows, wide, narrow in ((5, 4, 3), (12, 2, 7)):
        shared = rng.normal(size=(rows, wide)).astype("float32")
        private = rng.normal(3, size=(rows, narrow)).astype("float32")
        sources = [tf.constant(shared), tf.constant(private)]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            value = difference(*sources)
        expected = numpy_difference(shared, private)
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        step, flat = 1e-6, np.float64(np.ravel(shared))
        moved = [
            (
                numpy_difference((flat + e).reshape(shared.shape), private)
                - numpy_difference((flat - e).reshape(shared.shape), private)
            )
            / (2 * step)
            for e in step * np.eye(len(flat))
        ]
        gradient, _ = tape.gradient(value, sources)
        np.testing.assert_allclose(
            np.ravel(gradient), moved, rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_rows_at_their_mean_have_no_direction(rows):
    """Rounding would give them one, and a gradient without bound."""
    same = tf.fill((rows, 4), 0.1)
    other = tf.random.normal((rows, 3), seed=1)
    with tf.GradientTape() as tape:
        tape.watch([same, other])
        value = difference(same, other)
    assert value == 0.0
    for gradient in tape.gradient(value, [same, other]):
        np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))


def test_all_rows_count_for_the_discriminator():
    """Labelled or not; and a task may have no row at all."""
    x, y = data()
    model = compiled()
    *_, entropy, _ = reference(model, x, y)
    weight = {"stars": np.zeros(len(y["stars"]), "float32")}
    logs = model.train_on_batch(x, y, weight, return_dict=True)
    assert logs["discriminator_loss"] == pytest.approx(entropy, rel=1e-5)
    none = TaskDiscriminator(task_names=["a", "b"])
    none.build((None, 3))
    mean, adversarial = none.losses_of(
        {"a": tf.zeros((0, 3)), "b": tf.zeros((0, 3))}
    )
    assert mean == adversarial == 0.0


def test_shared_inputs_pass_every_private_extractor():
    x, y = data(uneven=False)
    x = x["tone"]
    model = build()
    model.compile(
        keras.optimizers.SGD(RATE),
        loss="mse",
        weighter="mgda",
        jit_compile=False,
    )
    model(x)
    encoder = model.encoder
    shared = encoder.shared(x)
    gaps = [
        numpy_difference(shared, getattr(encoder, f"private_{task}")(x))
        for task in TASKS
    ]
    logs = model.train_on_batch(x, y, return_dict=True)
    losses = [logs[f"{task}_weight"] * logs[f"{task}_loss"] for task in TASKS]
    total = sum(losses) + GAMMA * sum(gaps)
    assert logs["loss"] == pytest.approx(total, rel=1e-4)


def test_the_reversed_gradient_by_complex_steps():
    """Of a linear discriminator, `-λ ∂(mean cross-entropy)/∂features`."""
    discriminator = TaskDiscriminator(weight=LAMBDA, task_names=["b", "a"])
    discriminator.build((None, 2))
    kernel, bias = (v.value.numpy() for v in discriminator.variables)
    rng = np.random.default_rng(3)
    features = {
        "b": tf.constant(rng.normal(size=(3, 2)), "float32"),
        "a": tf.constant(rng.normal(size=(2, 2)), "float32"),
    }
    with tf.GradientTape() as tape:
        tape.watch(features)
        _, adversarial = discriminator.losses_of(features)
    pulled = tape.gradient(adversarial, features)

    def entropy(flat):
        logits = flat.reshape(5, 2) @ kernel + bias
        logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        return -logs[np.arange(5), [1, 1, 1, 0, 0]].mean()[None]

    flat = np.concatenate([np.ravel(features[t]) for t in "ba"])
    expected = -LAMBDA * jacobian(entropy, np.float64(flat))[0]
    received = np.concatenate([np.ravel(pulled[t]) for t in "ba"])
    np.testing.assert_allclose(received, expected, rtol=1e-5)
