"""The hypergradient of the step that the optimizer takes in truth."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.weighters import MetaWeighting
from tests.reference import (
    jacobian,
    make_data,
    make_model,
    network_variables,
    parameters,
    task_losses,
)
from tests.training import (
    differing,
    new_model,
    query_for,
    read,
    separate,
    state,
)
from tests.training import make_data as training_data

THROUGH = {
    "class_name": "meta_weighting",
    "config": {"through": "optimizer", "step_size": 10.0},
}


class Falls(weighters.GradientWeighter):
    """Keeps the signal, and weighs nothing."""

    default_scope = "all"

    def build(self, losses_shape):
        self.falls = self.add_state("falls", losses_shape * 2)

    def call(self, losses):
        return tf.ones_like(losses)

    def observe(self, query_loss_falls):
        self.falls.assign(query_loss_falls)
        return tf.convert_to_tensor(self.task_weights)


def schedule():
    return keras.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5)


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.05),
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "nesterov": lambda: keras.optimizers.SGD(0.05, momentum=0.8, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.02),
    "scheduled": lambda: keras.optimizers.Adam(schedule(), epsilon=1e-2),
    "amsgrad": lambda: keras.optimizers.Adam(0.02, 0.8, 0.9, amsgrad=True),
    "adamw": lambda: keras.optimizers.AdamW(0.02, weight_decay=0.1),
}


def by_task(x, y):
    return {task: x + 0.1 * k for k, task in enumerate(y)}, y


def differences(model, optimizer, gradients, losses, fixed):
    """Returns `-dL_t/dw_j` through one step of Keras' optimizer in float64.

    Args:
        model: Whose parameters, and whose optimizer's state, it starts from.
        optimizer: A new optimizer of that class.
        gradients: `(K, P)` array, the tasks' gradients.
        losses: Function from `(P,)` parameters to the query losses.
        fixed: `(K,)` array, the loss weights.
    """
    values = read(network_variables(model))
    twins = [keras.Variable(value, dtype="float64") for value in values]
    optimizer.build(twins)
    state = [*twins, *optimizer.variables]
    before = values + read(model.optimizer.variables)
    ends = np.cumsum([value.size for value in values])[:-1]

    def after(weights):
        for variable, value in zip(state, before, strict=True):
            variable.assign(value)
        pulled = np.split((weights * fixed) @ gradients, ends)
        optimizer.apply(
            [
                tf.constant(g.reshape(v.shape))
                for g, v in zip(pulled, values, strict=True)
            ],
            twins,
        )
        return losses(np.concatenate([np.ravel(v) for v in read(twins)]))

    ones, step = np.ones(len(gradients)), 1e-5
    return np.stack(
        [
            (after(ones - e) - after(ones + e)) / (2 * step)
            for e in step * np.eye(len(gradients))
        ],
        axis=1,
    )


@pytest.mark.parametrize(
    ("name", "kind", "jit_compile"),
    [
        *((name, "shared", False) for name in OPTIMIZERS),
        ("adam", "separate", False),
        ("amsgrad", "separate", True),
    ],
)
def test_falls_are_finite_differences_through_a_step(name, kind, jit_compile):
    """The step is Keras' own, in float64 and from the same state."""
    num_tasks, fixed = 3, np.array([0.5, 2.0, 1.0])
    model = make_model(num_tasks)
    model.compile(
        OPTIMIZERS[name](),
        loss="mse",
        loss_weights=dict(zip(model.task_names, fixed, strict=True)),
        weighter=Falls(),
        jit_compile=jit_compile,
    )
    batches = [make_data(num_tasks, rows=6, seed=seed) for seed in range(6)]
    if kind == "separate":
        batches = [by_task(*batch) for batch in batches]
    for first in (0, 2):
        model.train_on_batch(*batches[first], query_data=batches[first + 1])
    support, query = batches[4:]
    theta = parameters(model)
    gradients = jacobian(lambda t: task_losses(model, t, *support), theta)
    expected = differences(
        model,
        OPTIMIZERS[name](),
        gradients,
        lambda t: task_losses(model, t, *query),
        fixed,
    )
    model.train_on_batch(*support, query_data=query)
    (falls,) = read([model.weighter.falls])
    assert np.abs(expected).max() > 1e-4
    np.testing.assert_allclose(
        falls, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()
    )


def test_the_published_form_is_that_of_plain_sgd():
    """SGD's real step: both forms of the weighter move alike."""
    trained = []
    for through in ("sgd", "optimizer"):
        model = make_model(2)
        meta = MetaWeighting(step_size=5.0, through=through)
        sgd = keras.optimizers.SGD(0.05, momentum=0.9)
        model.compile(sgd, loss="mse", weighter=meta, jit_compile=False)
        for seed in range(3):
            model.train_on_batch(
                *make_data(seed=seed), query_data=make_data(seed=9 + seed)
            )
        trained.append([*model.task_weights.values()])
    assert np.abs(np.array(trained[0]) - 1.0).max() > 1e-3
    np.testing.assert_allclose(*trained, rtol=1e-5)


WORDS, LENGTH = 40, 5


def model_of_words(regulariser=None):
    """Averaged words; the regulariser makes the table's gradient dense."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((LENGTH,), dtype="int32")
    table = keras.layers.Embedding(
        WORDS, 3, embeddings_regularizer=regulariser, name="table"
    )
    hidden = keras.layers.GlobalAveragePooling1D()(table(inputs))
    encoder = keras.Model(inputs, keras.layers.Activation("tanh")(hidden))
    heads = {t: keras.layers.Dense(1, name=f"head_{t}") for t in "ab"}
    model = MultiTaskModel(encoder, heads)
    model.compile(
        keras.optimizers.Adam(0.05),
        loss="mse",
        weighter=Falls(),
        jit_compile=False,
    )
    return model


@pytest.mark.parametrize("regulariser", [None, "l2"])
def test_falls_through_the_rows_of_a_table(regulariser):
    """Against differences of steps of the model itself, in float32."""
    model = model_of_words(regulariser)
    rng = np.random.default_rng(1)
    batches = [
        (
            {t: rng.integers(0, WORDS, (6, LENGTH)) for t in "ab"},
            {t: rng.normal(size=(6, 1)).astype("float32") for t in "ab"},
        )
        for _ in range(4)
    ]
    (*first, support, query) = batches
    model.train_on_batch(*first[0], query_data=first[1])
    kept = [*model.trainable_variables, *model.optimizer.variables]
    before = read(kept)

    def after(weights, eager=True):
        for variable, value in zip(kept, before, strict=True):
            variable.assign(value)
        weights = dict(zip("ab", weights, strict=True))
        how = {"jit_compile": False, "run_eagerly": eager}
        model.compile(model.optimizer, "mse", weights, weighter=Falls(), **how)
        model.train_on_batch(*support, query_data=query)
        losses = model.evaluate(*query, verbose=0, return_dict=True)
        return np.array([losses[f"{task}_loss"] for task in "ab"])

    ones, step = np.ones(2), 0.02
    expected = np.stack(
        [
            (after(ones - e) - after(ones + e)) / (2 * step)
            for e in step * np.eye(2)
        ],
        axis=1,
    )
    after(ones, eager=False)
    (falls,) = read([model.weighter.falls])
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(
        falls, expected, atol=0.02 * np.abs(expected).max()
    )


def test_two_replicas_do_what_one_does(strategy):
    results = []
    for scope in (strategy.scope, contextlib.nullcontext):
        with scope():
            model = new_model(THROUGH, keras.optimizers.Adam(0.02))
        model.fit(
            *separate(training_data(16)),
            query_data=separate(query_for(THROUGH, rows=8)),
            batch_size=8,
            shuffle=False,
            verbose=0,
        )
        results.append(state(model))
    for key, value in results[1].items():
        np.testing.assert_allclose(
            results[0][key], value, rtol=1e-4, atol=1e-5, err_msg=key
        )
    assert np.abs(results[1]["weighter/0"] - 1.0).max() > 1e-3


def test_a_skipped_step_leaves_the_weights():
    model = new_model(THROUGH, keras.optimizers.Adam(0.02))
    x, y = training_data()
    query = query_for(THROUGH)
    model.train_on_batch(x, y, query_data=query)
    before = state(model)
    y["stars"][0] = 3e38
    model.train_on_batch(x, y, query_data=query)
    assert not differing(state(model), before)


class OwnAdam(keras.optimizers.Adam):
    """Any class made of a known one may step in another way."""


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (
            lambda: keras.optimizers.RMSprop(),
            "MetaWeighting needs the derivative of the optimizer's step, which "
            "is known for SGD, Adam, AdamW, not for classes made of them. "
            "Received: RMSprop. Compile with one of these, or leave `through` "
            "out.",
        ),
        (lambda: OwnAdam(), "Received: OwnAdam. Compile with one of these"),
        (
            lambda: keras.optimizers.Adam(global_clipnorm=0.5),
            "which with `global_clipnorm` is not one of each coordinate by "
            "itself. Received: global_clipnorm=0.5. Compile without it",
        ),
    ],
)
def test_an_unknown_form_is_refused_before_training(optimizer, message):
    model = new_model("uniform", optimizer())
    x, y = training_data()
    before = state(model, optimizer=False)
    with pytest.raises(ValueError) as error:
        model.fit(x, y, weighter=THROUGH, query_split=0.5, verbose=0)
    assert message in str(error.value)
    assert not differing(state(model, optimizer=False), before)
