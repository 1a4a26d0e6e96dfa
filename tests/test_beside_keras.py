"""Uniform weights beside plain Keras: what it reports and where it steps.

One model of many heads, a case each. The reference is `keras.Model` with the
same layers, weights, batches and optimizer.
"""

import keras
import numpy as np
import pytest

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
        evaluated = {f"e_{n}": v for n, v in evaluated.items()}
        batch = keras.tree.map_structure(np.array, labels), each(X), weights
        now = each.compute_loss(X, *batch)
        reports.append({**history, **evaluated, "compute_loss": now})
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


class Doubled(MultiTaskModel):
    """Doubles its inputs, and adds to the logs."""

    def call(self, inputs, **kwargs):
        return super().call(2.0 * inputs, **kwargs)

    def train_step(self, data):
        return {**super().train_step(data), "own": keras.ops.ones(())}

    def test_step(self, data):
        super().test_step(data)
        logs = self.get_metrics_result()
        return {**logs, "half": logs["a_loss"] / 2.0}


class OwnStep(MultiTaskModel):
    """Trains by itself, by Keras' loss, and reports what it likes."""

    def train_step(self, data):
        x, y = data
        loss = self.compute_loss(x, y, self(x))
        return {"loss": keras.ops.mean(self(x)["a"]), "of_all": loss}


def test_hooks_of_a_subclass_work():
    inputs = np.ones((4, 2), "float32")
    labels = {"a": np.ones((4, 1), "float32")}
    ones = {"kernel_initializer": "ones"}
    for kind, expected in ((Doubled, (4.0 * 3 - 1) ** 2), (OwnStep, 6.0)):
        encoder = keras.layers.Dense(3, **ones)
        model = kind(encoder, {"a": keras.layers.Dense(1, **ones)})
        model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
        history = model.fit(inputs, labels, verbose=0).history
        assert history["loss"] == [pytest.approx(expected)]
        assert ("own" in history) == (kind is Doubled)
        squared = (expected - 1.0) ** 2
        if kind is OwnStep:
            assert history["of_all"] == [pytest.approx(squared)]
        else:
            logs = model.evaluate(inputs, labels, verbose=0, return_dict=True)
            assert logs["loss"] == pytest.approx(expected)
            assert logs["half"] == pytest.approx(expected / 2.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("compute_loss", "overrides `compute_loss`, which is not called"),
        ("compute_metrics", "overrides `compute_metrics`, which is not"),
        ("call", r"`call` without all .* Take `call\(self, inputs, \*\*kwarg"),
    ],
)
def test_hooks_that_would_not_be_called_are_refused(name, message):
    def hook(self, inputs, training=None):
        return inputs

    with pytest.raises(ValueError, match=message):
        type("Own", (MultiTaskModel,), {name: hook})


def test_another_type_of_numbers():
    """Where Keras' type is float64, steps are those of plain Keras too."""
    keras.config.set_floatx("float64")
    try:
        labels = {"a": numbers(2), "b": KINDS}
        kinds = {"a": "mse", "b": "sparse_categorical_crossentropy"}
        inputs = keras.Input((4,))
        encoder = keras.layers.Dense(5, "tanh", dtype="float64")
        heads = {
            "a": keras.layers.Dense(2, dtype="float64"),
            "b": keras.layers.Dense(3, "softmax", dtype="float64"),
        }
        encoded = encoder(inputs)
        plain = keras.Model(inputs, {t: h(encoded) for t, h in heads.items()})
        model = MultiTaskModel(encoder, heads)
        before, found = plain.get_weights(), []
        for each in (plain, model):
            plain.set_weights(before)
            each.compile(
                "adam", kinds, metrics={"b": ["acc"]}, run_eagerly=True
            )
            logs = each.train_on_batch(X, labels, return_dict=True)
            found.append((logs, plain.get_weights()))
        (expected, weights), (received, own) = found
        for name, value in expected.items():
            assert received[name] == pytest.approx(value, rel=1e-6), name
        for variable, value in zip(own, weights, strict=True):
            assert variable.dtype == "float64"
            np.testing.assert_allclose(variable, value, rtol=1e-6)
    finally:
        keras.config.set_floatx("float32")
