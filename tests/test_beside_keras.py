"""Uniform weights beside plain Keras: what it reports and where it steps.

One model of many heads, a case each. The reference is `keras.Model` with the
same layers, weights, batches and optimizer.
"""

import keras
import numpy as np

from keras_mtl import MultiTaskModel

RNG = np.random.default_rng(0)
ROWS = 10
X = RNG.normal(size=(ROWS, 4)).astype("float32")
HALVES = np.arange(ROWS, dtype="float32")[:, None] % 2
KINDS = np.arange(ROWS) % 3
WEIGHTS = np.linspace(0.5, 2.0, ROWS).astype("float32")
# As many of each row: Keras' mean over an epoch is by rows, ours by labels.
VOID = np.where(np.arange(4) < 1, 255, KINDS[:, None]).astype("uint8")
losses, metrics = keras.losses, keras.metrics


class Tripled(losses.Loss):
    """Takes the mean by itself, and three times that."""

    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)

    def __call__(self, y_true, y_pred, sample_weight=None):
        return 3.0 * super().__call__(y_true, y_pred, sample_weight)


class Summed(Tripled):
    """Keras' mean, of another reduction."""

    __call__ = losses.Loss.__call__


def scalar(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred))


class Range(metrics.Metric):
    """Measures two numbers."""

    def __init__(self):
        super().__init__(name="range")
        self.most = self.add_weight(name="most", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        largest = keras.ops.max(keras.ops.abs(y_true - y_pred))
        self.most.assign(keras.ops.maximum(self.most, largest))

    def result(self):
        return {"low": -self.most, "high": self.most + 0.0}


def dense(units, activation=None):
    return lambda: keras.layers.Dense(units, activation)


def pixels():
    shape = keras.layers.Reshape((4, 3))
    return keras.Sequential([keras.layers.Dense(12), shape])


def numbers(*shape):
    return RNG.normal(size=(ROWS, *shape)).astype("float32")


# Head, loss, labels, sample weights, metrics.
CASES = {
    "own_mean": (dense(2), Tripled(), numbers(2), WEIGHTS, [Range]),
    "own_sum": (dense(2), Summed(reduction="sum"), numbers(2), WEIGHTS, []),
    "scalar": (dense(2), scalar, numbers(2), None, [scalar]),
    "flat": (dense(1), "mse", numbers(), WEIGHTS, [metrics.R2Score]),
    "whole": (dense(1), "mse", KINDS[:, None], WEIGHTS[:, None], ["mae"]),
    "boolean": (dense(1, "sigmoid"), "bce", HALVES > 0, None, ["accuracy"]),
    "hinge": (dense(1), "hinge", HALVES, WEIGHTS, ["accuracy"]),
    "by_weight": (
        *(dense(2), losses.Huber(reduction="mean_with_sample_weight")),
        *(numbers(2), 0.5 + HALVES[:, 0], [metrics.RootMeanSquaredError]),
    ),
    "kinds": (
        *(dense(3, "softmax"), "crossentropy", KINDS, WEIGHTS),
        ["accuracy"],
    ),
    "smooth": (
        *(dense(3), losses.CategoricalCrossentropy(True, 0.1)),
        *(np.eye(3, dtype="float32")[KINDS], WEIGHTS, [metrics.F1Score]),
    ),
    "void": (
        pixels,
        losses.SparseCategoricalCrossentropy(True, ignore_class=255),
        *(VOID, WEIGHTS[:, None] * np.ones(4), []),
    ),
    "by_axis": (
        *(pixels, losses.CosineSimilarity(axis=1)),
        *(numbers(4, 3), WEIGHTS[:, None], []),
    ),
}


def both():
    """Returns plain model, ours, and the parts of either by name."""
    built = []
    for _ in range(2):
        inputs = keras.Input((4,))
        encoder = keras.Model(inputs, keras.layers.Dense(5, "tanh")(inputs))
        heads = {task: case[0]() for task, case in CASES.items()}
        for head in heads.values():
            head.build((None, 5))
        built.append((inputs, encoder, heads))
    (inputs, encoder, heads), (_, twin, copies) = built
    encoded = encoder(inputs)
    outputs = {task: head(encoded) for task, head in heads.items()}
    twin.set_weights(encoder.get_weights())
    for task, head in heads.items():
        copies[task].set_weights(head.get_weights())
    model = MultiTaskModel(twin, copies)
    parts = {"": encoder, **heads}, {"": twin, **copies}
    return keras.Model(inputs, outputs), model, *parts


def test_losses_metrics_and_steps():
    plain, model, parts, copies = both()
    labels = {task: case[2] for task, case in CASES.items()}
    weights = {task: case[3] for task, case in CASES.items()}
    given = {"x": X, "y": labels, "sample_weight": weights}
    reports = []
    for each in (plain, model):
        each.compile(
            keras.optimizers.SGD(0.1, global_clipnorm=1.0),
            loss={task: case[1] for task, case in CASES.items()},
            metrics={
                task: [m() if isinstance(m, type) else m for m in case[4]]
                for task, case in CASES.items()
            },
            run_eagerly=True,
        )
        fit = {**given, "batch_size": 4, "shuffle": False, "verbose": 0}
        history = each.fit(**fit).history
        evaluated = each.evaluate(
            **given, batch_size=4, verbose=0, return_dict=True
        )
        reports.append(
            {**history, **{f"e_{n}": v for n, v in evaluated.items()}}
        )
    expected, received = reports
    # Keras names the entries of a metric by themselves.
    for prefix in ("", "e_"):
        for key in ("low", "high"):
            name = f"{prefix}own_mean_range_{key}"
            expected[name] = expected.pop(f"{prefix}{key}")
    for name, value in expected.items():
        np.testing.assert_allclose(
            received[name], value, rtol=1e-4, atol=1e-6, err_msg=name
        )
    for name, part in parts.items():
        for variable, copy in zip(
            part.get_weights(), copies[name].get_weights(), strict=True
        ):
            np.testing.assert_allclose(
                copy, variable, rtol=1e-4, atol=1e-6, err_msg=name
            )
