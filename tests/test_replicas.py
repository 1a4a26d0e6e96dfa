"""Two replicas on a global batch do what one device does on it."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from tests.training import (
    TASKS,
    differing,
    make_data,
    new_model,
    query_for,
    read,
    seeded,
    separate,
    state,
)

ROWS, BATCH = 29, 8  # Batches of 8, 8, 8 and 5 rows: 4 and 4, 3 and 2.


METRICS = {
    "metrics": {"class": ["accuracy"]},
    "weighted_metrics": {"stars": ["mae"]},
}


def train(strategy, name, data, optimizer=None, epochs=3, model=None, **fit):
    """Trains in the strategy's scope, or on one device without it.

    Returns:
        The model and its history.
    """
    scope = strategy.scope() if strategy else contextlib.nullcontext()
    optimizer = optimizer or {"momentum": 0.9}
    with scope:
        built = new_model(
            name,
            keras.optimizers.SGD(0.05, **optimizer),
            model=model,
            # On some: they take a good share of the time.
            **(METRICS if name in ("constant", "mgda") else {}),
        )
    query = query_for(name, rows=BATCH)
    if query:
        is_separate = isinstance(data[0], dict)
        fit["query_data"] = separate(query) if is_separate else query
    fit = {"shuffle": False, "verbose": 0, "batch_size": BATCH, **fit}
    return built, built.fit(*data, epochs=epochs, **fit).history


def assert_alike(received, expected, history, other):
    """Weights, optimizer and weighter state, and History agree."""
    mine, theirs = state(received), state(expected)
    assert list(mine) == list(theirs)
    for key, value in theirs.items():
        np.testing.assert_allclose(
            mine[key], value, rtol=1e-5, atol=1e-5, err_msg=key
        )
    assert history.keys() == other.keys()
    for key, values in other.items():
        np.testing.assert_allclose(
            history[key], values, rtol=2e-5, atol=1e-6, err_msg=key
        )


# One for each kind of signal; every weighter is in the long form.
KINDS = [
    *("uncertainty", "slaw", "gradnorm", "mgda", "meta_weighting"),
    *("famo", "db_mtl"),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_shared_inputs_with_labels_missing_on_one_replica(strategy, name):
    """With a ragged last batch and a regulariser of the encoder."""
    data = make_data(ROWS)
    weight = {task: np.ones(ROWS, "float32") for task in TASKS}
    weight["stars"][np.arange(ROWS) % BATCH >= 4] = 0.0  # The second replica.
    weight["tone"][::3] = 0.5
    weight["class"][np.arange(ROWS) // BATCH == 1] = 0.0  # A whole batch.
    first, second = seeded(name), seeded(name)
    kwargs = {"sample_weight": weight, "model": {"regulariser": "l2"}}
    received, history = train(strategy, first, data, **kwargs)
    expected, other = train(None, second, data, **kwargs)
    assert_alike(received, expected, history, other)


@pytest.mark.parametrize("name", ["constant", "mgda", "gradnorm"])
def test_separate_inputs(strategy, name):
    """With a regulariser, which counts once for all replicas."""
    data, model = separate(make_data(ROWS)), {"regulariser": "l2"}
    received, history = train(strategy, name, data, model=model)
    expected, other = train(None, name, data, model=model)
    assert_alike(received, expected, history, other)


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("uncertainty", {"global_clipnorm": 0.1}),
        ("constant", {"clipnorm": 0.05}),
        ("constant", {"clipvalue": 0.01}),
    ],
)
def test_the_whole_gradient_is_clipped(strategy, name, clip):
    data = make_data(ROWS)
    received, history = train(strategy, name, data, clip)
    expected, other = train(None, name, data, clip)
    assert_alike(received, expected, history, other)
    unclipped, _ = train(None, name, data, {"momentum": 0.0})
    free, bound = (read(m.encoder.variables)[0] for m in (unclipped, expected))
    assert not np.allclose(free, bound, rtol=1e-2)


def test_a_change_of_weighter(strategy):
    """The optimizer's new state is made for all replicas."""
    data = make_data(ROWS)
    results = []
    for where in (strategy, None):
        model, _ = train(where, "slaw", data, epochs=1)
        fit = {"shuffle": False, "verbose": 0, "batch_size": BATCH}
        history = model.fit(*data, weighter="uncertainty", **fit).history
        results.append((model, history))
    (received, history), (expected, other) = results
    assert_alike(received, expected, history, other)


@pytest.mark.filterwarnings("ignore:1 steps of epoch 1 were skipped")
@pytest.mark.parametrize("name", ["slaw", "mgda"])
def test_one_bad_replica_skips_the_step_on_all(strategy, name):
    x, y = make_data(3 * BATCH)
    clean = [np.delete(v, range(BATCH, 2 * BATCH), 0) for v in (x, *y.values())]
    x[2 * BATCH - 1] = np.nan  # The last row of the second replica.
    spoilt = (x, y)
    data = (clean[0], dict(zip(y, clean[1:], strict=True)))
    kwargs = {"epochs": 1, "model": {"batch_norm": True}}
    received, history = train(strategy, name, spoilt, **kwargs)
    expected, other = train(strategy, name, data, **kwargs)
    assert history["skipped_steps"] == [1.0]
    assert other["skipped_steps"] == [0.0]
    assert not differing(state(received), state(expected))
    for task in TASKS:
        for key in ("loss", f"{task}_loss", f"{task}_weight"):
            np.testing.assert_allclose(history[key], other[key], rtol=1e-6)


def replica_values(model):
    """Returns the value of every variable on each replica, by its number."""
    groups = {
        "parameters": model.trainable_variables,
        "layers": model.non_trainable_variables,
        "optimizer": model.optimizer.variables,
        "weighter": model.weighter.variables,
        "metrics": model._compile_metrics.variables,
    }
    return {
        f"{group}/{k}, replica {replica}": np.array(tf.convert_to_tensor(copy))
        for group, variables in groups.items()
        for k, variable in enumerate(variables)
        for replica, copy in enumerate(variable.value.values)
    }


@pytest.mark.filterwarnings("ignore:1 steps of epoch 1 were skipped")
@pytest.mark.parametrize("name", ["slaw", "uncertainty", "mgda", "pcgrad"])
def test_bad_labels_on_one_replica_touch_neither(strategy, name):
    """Each replica's own copy of every variable stays as it is."""
    with strategy.scope():
        model = new_model(
            name,
            keras.optimizers.SGD(0.05, momentum=0.9),
            model={"batch_norm": True},
            **METRICS,
        )
    x, y = make_data(2 * BATCH)
    y["stars"][-BATCH // 2 :] = 3e38  # The second replica's, in batch 2.
    kept = []

    class Keep(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            kept.append(replica_values(self.model))

        on_train_batch_end = on_train_batch_begin

    fit = {"shuffle": False, "verbose": 0, "batch_size": BATCH}
    history = model.fit(x, y, callbacks=[Keep()], **fit).history

    first, *_, before, after = kept
    changed = {name.split("/")[0] for name in differing(before, first)}
    assert changed == {name.split("/")[0] for name in before}
    assert sum("replica 1" in name for name in before) * 2 == len(before)
    assert not differing(after, before)
    assert all(np.all(np.isfinite(value)) for value in after.values())
    assert history["skipped_steps"] == [1.0]


@pytest.mark.parametrize("name", ["uncertainty", "mgda"])
def test_overflow_on_one_replica_lowers_the_loss_scale(strategy, name):
    x, y = make_data(BATCH)
    y["stars"][BATCH - 1] = 2e3  # Its gradient leaves the range of float16.
    keras.config.set_dtype_policy("mixed_float16")
    with strategy.scope():
        model = new_model(
            name,
            keras.optimizers.LossScaleOptimizer(
                keras.optimizers.SGD(0.01, momentum=0.9), initial_scale=2.0**12
            ),
        )
    model.fit(*make_data(BATCH, 4), batch_size=BATCH, verbose=0)
    before = {}
    recorder = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda step, logs: before.update(
            state(model, optimizer=False)
        )
    )
    (scale,) = read([model.optimizer.dynamic_scale])

    history = model.fit(
        x, y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[recorder]
    )

    assert history.history["skipped_steps"] == [1.0]
    assert not differing(state(model, optimizer=False), before)
    assert read([model.optimizer.dynamic_scale]) == [scale / 2]


def test_a_strategy_of_a_single_replica():
    # `MirroredStrategy` of one device goes the same way; a second one in a
    # process aborts it.
    data = make_data(ROWS)
    expected, history = train(None, "mgda", data)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    received, other = train(strategy, "mgda", data)
    assert_alike(received, expected, history, other)


def test_shares_of_compute_loss_add_up(strategy):
    """Of 4 and 2 rows, and a regulariser: by hand."""
    rows = np.arange(1.0, 7.0, dtype="float32")[:, None]
    with strategy.scope():
        ones = {"kernel_initializer": "ones", "use_bias": False}
        half = keras.regularizers.L2(0.5)
        encoder = keras.layers.Dense(1, kernel_regularizer=half, **ones)
        model = MultiTaskModel(encoder, {"a": keras.layers.Dense(1, **ones)})
        model.compile("sgd", "mse", jit_compile=False)
        model.build_from_inputs(keras.KerasTensor((None, 1)))
    parts = [rows[:4], rows[4:]]
    given = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(parts[context.replica_id_in_sync_group])
    )

    def share(x):
        return model.compute_loss(x, {"a": tf.zeros_like(x)}, model(x))

    shares = tf.function(lambda: strategy.run(share, (given,)))()
    total = strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)
    np.testing.assert_allclose(total, np.mean(rows**2) + 0.5, rtol=1e-6)
