"""Outputs, losses, labels and weights as users have them.

Each right value is NumPy's or plain Keras', computed in the same test.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel

RNG = np.random.default_rng(0)
ROWS = 12
X = RNG.normal(size=(ROWS, 4)).astype("float32")
Y = {
    "a": RNG.normal(size=(ROWS, 1)).astype("float32"),
    "b": RNG.normal(size=(ROWS, 2)).astype("float32"),
}
HALF = (np.arange(ROWS) % 2).astype("float32")


def build(heads, encoder=None, **kwargs):
    keras.utils.set_random_seed(0)
    if encoder is None:
        encoder = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(5, "tanh")]
        )
    return MultiTaskModel(encoder, heads, **kwargs)


def compiled(heads, loss="mse", weighter="uniform", **kwargs):
    model = build(heads)
    kwargs.setdefault("jit_compile", False)
    model.compile("sgd", loss=loss, weighter=weighter, **kwargs)
    return model


def two(**kwargs):
    heads = {"a": keras.layers.Dense(1), "b": keras.layers.Dense(2)}
    return compiled(heads, **kwargs)


def evaluate(model, x, y, **kwargs):
    return model.evaluate(x, y, verbose=0, return_dict=True, **kwargs)


def history(model, x, y=None, **kwargs):
    return model.fit(x, y, verbose=0, **kwargs).history


@keras.saving.register_keras_serializable(package="tests")
class Detector(keras.layers.Layer):
    """Predicts a box and a class, as a dict or a tuple."""

    def __init__(self, as_tuple=False, **kwargs):
        super().__init__(**kwargs)
        self.as_tuple = as_tuple
        self.box = keras.layers.Dense(4)
        self.kind = keras.layers.Dense(3, "softmax")

    def build(self, shape):
        self.box.build(shape)
        self.kind.build(shape)

    def call(self, inputs):
        box, kind = self.box(inputs), self.kind(inputs)
        return (box, kind) if self.as_tuple else {"box": box, "kind": kind}

    def get_config(self):
        return {**super().get_config(), "as_tuple": self.as_tuple}


BOXES = RNG.normal(size=(ROWS, 4)).astype("float32")
KINDS = RNG.integers(0, 3, ROWS)


@pytest.mark.parametrize("weighter", ["uniform", "pcgrad", "gradnorm"])
def test_an_output_without_a_loss_is_served_and_measured(weighter, tmp_path):
    heads = {
        "a": keras.layers.Dense(1),
        "served": keras.layers.Dense(2),
        "embedding": keras.layers.Identity(),
    }
    model = compiled(
        heads, {"a": "mse", "served": None}, weighter, metrics={"served": "mae"}
    )
    frozen = model.heads["served"]
    logs = history(model, X, {"a": Y["a"], "served": Y["b"]})
    assert set(logs) == {
        *("loss", "a_loss", "a_weight", "served_mae", "skipped_steps")
    }
    assert model.task_names == ("a",)
    assert list(model.task_weights) == ["a"]
    before = frozen.kernel.numpy()
    outputs = model.predict(X, verbose=0)
    logs = evaluate(model, X, {"a": Y["a"], "served": Y["b"]})
    expected = np.abs(outputs["served"] - Y["b"]).mean()
    assert logs["served_mae"] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(
        outputs["embedding"], model.encoder.predict(X, verbose=0), rtol=1e-6
    )
    history(model, X, {"a": Y["a"]})
    np.testing.assert_array_equal(frozen.kernel.numpy(), before)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = loaded.predict(X, verbose=0)
    now = model.predict(X, verbose=0)
    for name, value in now.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-6)
    model.export(str(tmp_path / "served"), verbose=False)
    archive = tf.saved_model.load(str(tmp_path / "served"))
    served = archive.serve(X)["served"]
    np.testing.assert_allclose(served, now["served"], rtol=1e-5)


@pytest.mark.parametrize("as_tuple", [False, True])
@pytest.mark.parametrize("weighter", ["uniform", "mgda"])
def test_nested_heads_sum_their_losses(as_tuple, weighter, tmp_path):
    parts = {"box": "huber", "kind": "sparse_categorical_crossentropy"}
    weights, labels = {"box": 2.0}, {"box": BOXES, "kind": KINDS}
    masks = {"kind": HALF}
    metrics = {"kind": ["accuracy"]}
    if as_tuple:
        parts, weights = tuple(parts.values()), [2.0, 1.0]
        labels, masks = tuple(labels.values()), (np.ones(ROWS), HALF)
        metrics = [None, ["accuracy"]]
    heads = {"det": Detector(as_tuple), "a": keras.layers.Dense(1)}
    model = compiled(
        heads,
        {"det": parts, "a": ["mse", "mae"]},
        weighter,
        loss_weights={"det": weights, "a": 0.5},
        metrics={"det": metrics},
    )
    y = {"det": labels, "a": Y["a"]}
    history(model, X, y, sample_weight={"det": masks}, batch_size=5)
    logs = evaluate(model, X, y, sample_weight={"det": masks}, batch_size=5)
    outputs = model.predict(X, verbose=0)
    found = outputs["det"]
    box, kind = found if as_tuple else (found["box"], found["kind"])
    huber = float(np.mean(keras.losses.huber(BOXES, box)))
    entropy = -np.log(kind[np.arange(ROWS), KINDS])
    entropy = (entropy * HALF).sum() / HALF.sum()
    error = outputs["a"] - Y["a"]
    of_a = np.mean(error**2) + np.mean(np.abs(error))
    hits = (kind.argmax(-1) == KINDS)[HALF > 0].mean()
    name = "det_1" if as_tuple else "det_kind"
    expected = {
        "det_loss": 2 * huber + entropy,
        f"{name}_loss": entropy,
        f"{name}_accuracy": hits,
        "a_loss": of_a,
        "loss": 2 * huber + entropy + 0.5 * of_a,
    }
    for column, value in expected.items():
        assert logs[column] == pytest.approx(value, rel=1e-5), column
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = evaluate(loaded, X, y)
    whole = evaluate(model, X, y)
    assert again == pytest.approx(whole, rel=1e-6)
    model.export(str(tmp_path / "served"), verbose=False)
    archive = tf.saved_model.load(str(tmp_path / "served"))
    served = archive.serve(X)[name]
    np.testing.assert_allclose(served, kind, rtol=1e-5, atol=1e-6)


def test_labels_of_some_tasks_in_every_place():
    model = two(weighter="mgda", metrics=["mae"])
    fresh = model.predict(X, verbose=0)
    only_a = {"a": Y["a"]}
    logs = evaluate(model, X, only_a)
    error = np.mean((fresh["a"] - Y["a"]) ** 2)
    assert logs["loss"] == logs["a_loss"] == pytest.approx(error, rel=1e-5)
    assert np.isnan([logs["b_loss"], logs["b_mae"]]).all()
    head_b = model.heads["b"].kernel.numpy()
    with pytest.warns(UserWarning, match=r"tasks \['b'\] have no labels in"):
        logs = history(
            model, X, only_a, epochs=2, validation_data=(X, {"b": Y["b"]})
        )
    assert np.isfinite(logs["a_loss"]).all()
    assert np.isnan(logs["b_loss"]).all()
    assert np.isnan(logs["val_a_loss"]).all()
    assert logs["val_loss"] == logs["val_b_loss"]
    np.testing.assert_array_equal(model.heads["b"].kernel.numpy(), head_b)
    data = tf.data.Dataset.from_tensor_slices((X, only_a)).batch(4)
    with pytest.warns(UserWarning, match=r"tasks \['b'\] have no labels in"):
        history(model, data)
    # Labels of None are left out on purpose: nothing is told.
    history(model, X, {**only_a, "b": None})
    history(model, data.map(lambda x, y: (x, {**y, "b": None})))
    for task in ("a", "b", "a"):
        logs = model.train_on_batch(X, {task: Y[task]}, return_dict=True)
        assert logs["loss"] == pytest.approx(logs[f"{task}_loss"])
        absent = {"a": "b", "b": "a"}[task]
        assert np.isnan(logs[f"{absent}_loss"])


def test_separate_inputs_of_some_tasks():
    model = two(weighter="pcgrad")
    for tasks in (("a", "b"), ("b",), ("a",)):
        x = {task: X for task in tasks}
        y = {task: Y[task] for task in tasks}
        logs = model.train_on_batch(x, y, return_dict=True)
        assert np.isfinite(logs["loss"])
    with pytest.warns(UserWarning, match=r"tasks \['b'\] have no labels"):
        history(model, {"a": X[:5], "b": X}, {"a": Y["a"][:5]})
    with pytest.raises(ValueError, match=r"for the tasks \['b'\], which"):
        model.fit({"a": X}, Y, verbose=0)


def test_query_data_of_some_tasks():
    model = two(weighter="meta_weighting")
    logs = history(model, X, Y, query_data=(X[:6], {"a": Y["a"][:6]}))
    assert np.isfinite(logs["loss"]).all()


def test_a_task_without_weights_has_none():
    """Its loss may be a scalar, and metrics that mask it are not asked to."""
    heads = {"a": keras.layers.Dense(1), "map": keras.layers.Dense(3)}
    loss = {"a": "mse", "map": lambda y, p: tf.reduce_mean((y - p) ** 2)}
    model = compiled(heads, loss, metrics={"map": [keras.metrics.R2Score()]})
    y = {"a": Y["a"], "map": X[:, :3]}
    logs = evaluate(model, X, y, sample_weight={"a": HALF})
    error = (model.predict(X, verbose=0)["a"] - Y["a"])[:, 0] ** 2
    assert logs["a_loss"] == pytest.approx(error[HALF > 0].mean(), rel=1e-5)
    history(model, X, y, sample_weight={"a": HALF}, query_split=None)
    separate = {"a": X[:7], "map": X}
    y = {"a": Y["a"][:7], "map": X[:, :3]}
    history(model, separate, y, sample_weight={"a": HALF[:7]})


def test_loss_weights_that_move_are_followed(tmp_path):
    weight = keras.Variable(0.0)
    model = two(loss_weights={"b": weight, "a": np.float32(2.0)})
    errors = [
        np.mean((model.predict(X, verbose=0)[task] - Y[task]) ** 2)
        for task in ("a", "b")
    ]
    for value in (0.0, 3.0):
        weight.assign(value)
        logs = evaluate(model, X, Y)
        expected = 2.0 * errors[0] + value * errors[1]
        assert logs["loss"] == pytest.approx(expected, rel=1e-5)

    class Raise(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            weight.assign(1.0)

    weight.assign(0.0)
    kernel = model.heads["b"].kernel
    before = kernel.numpy()
    history(model, X, Y)
    np.testing.assert_array_equal(kernel.numpy(), before)
    history(model, X, Y, epochs=2, callbacks=[Raise()])
    assert np.abs(kernel.numpy() - before).max() > 0.0
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert evaluate(loaded, X, Y) == pytest.approx(evaluate(model, X, Y))
    with pytest.raises(ValueError, match=r"loss_weights\['b'\]` must be at le"):
        two(loss_weights={"b": keras.Variable(-1.0)})


def test_losses_that_are_not_nested_as_predictions():
    for loss, message in (
        ({"box": {"x": "mse"}}, "part 'box', is not nested as its predic"),
        ({"boxes": "mse"}, "has a loss for 'boxes', but predicts no tensor"),
        (["mse", "mae"], "is not nested as its predictions are"),
    ):
        model = compiled({"det": Detector()}, {"det": loss})
        with pytest.raises(ValueError, match=message):
            model.fit(X, {"det": {"box": BOXES}}, verbose=0)
