"""Classes to ignore, and weights of classes, labels and pixels.

Each right value is NumPy's or plain Keras', computed in the same test.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.data import mask_missing
from keras_mtl.layers import StackedHeads
from tests.test_cases_labels import (
    KINDS,
    RNG,
    ROWS,
    X,
    Y,
    build,
    compiled,
    evaluate,
    history,
    two,
)

PIXELS = RNG.integers(0, 3, (ROWS, 4))
VOID = RNG.uniform(size=PIXELS.shape) < 0.6
SPARSE = keras.losses.SparseCategoricalCrossentropy


def pixel_head():
    return keras.Sequential(
        [keras.layers.Dense(12), keras.layers.Reshape((4, 3))]
    )


def labels_of_pixels(model, x=X):
    logits = model.predict(x, verbose=0)["map"]
    return logits, tf.nn.log_softmax(logits).numpy()


def test_a_class_to_ignore_counts_as_missing():
    loss = SPARSE(from_logits=True, ignore_class=255)
    model = compiled({"map": pixel_head()}, {"map": loss}, metrics=["accuracy"])
    y = np.where(VOID, 255, PIXELS)
    logs = evaluate(model, X, {"map": y})
    logits, log_p = labels_of_pixels(model)
    values = -np.take_along_axis(log_p, PIXELS[..., None], -1)[..., 0]
    assert logs["map_loss"] == pytest.approx(values[~VOID].mean(), rel=1e-5)
    keras_loss = float(loss(y.astype("float32"), logits))
    assert logs["map_loss"] == pytest.approx(keras_loss, rel=1e-5)
    hits = (logits.argmax(-1) == PIXELS)[~VOID].mean()
    assert logs["map_accuracy"] == pytest.approx(hits)
    first = history(model, X, {"map": y}, batch_size=ROWS)
    assert first["map_loss"][0] == pytest.approx(keras_loss, rel=1e-5)


def test_masks_of_pixels_reach_each_metric():
    heads = {"map": pixel_head(), "mask": keras.layers.Dense(4, "sigmoid")}
    metrics = {
        "map": [keras.metrics.MeanIoU(3, sparse_y_pred=False), "accuracy"],
        "mask": [
            keras.metrics.AUC(name="auc"),
            keras.metrics.Precision(name="precision"),
            keras.metrics.Recall(name="recall"),
            keras.metrics.BinaryIoU(name="iou"),
            keras.metrics.BinaryAccuracy(name="hits"),
            keras.metrics.MeanSquaredError(name="mse"),
        ],
    }
    loss = {"map": SPARSE(from_logits=True), "mask": "binary_crossentropy"}
    model = compiled(heads, loss, metrics=metrics)
    mask = (RNG.uniform(size=(ROWS, 4)) < 0.5).astype("float32")
    kept = (~VOID).astype("float32")
    logs = evaluate(
        model,
        X,
        {"map": PIXELS, "mask": mask},
        sample_weight={"map": kept, "mask": kept},
        batch_size=5,
    )
    outputs = model.predict(X, verbose=0)
    flat, of_mask = ~VOID, outputs["mask"]
    assert logs["map_accuracy"] == pytest.approx(
        (outputs["map"].argmax(-1) == PIXELS)[flat].mean()
    )
    # Plain Keras on the pixels that are there.
    plain = {
        "map_mean_io_u": keras.metrics.MeanIoU(3),
        "mask_auc": keras.metrics.AUC(),
        "mask_precision": keras.metrics.Precision(),
        "mask_recall": keras.metrics.Recall(),
        "mask_iou": keras.metrics.BinaryIoU(),
        "mask_hits": keras.metrics.BinaryAccuracy(),
        "mask_mse": keras.metrics.MeanSquaredError(),
    }
    for name, metric in plain.items():
        label, output = mask[flat], of_mask[flat]
        if name == "map_mean_io_u":
            label = PIXELS[flat]
            output = outputs["map"].argmax(-1)[flat]
        elif name not in ("mask_auc", "mask_precision", "mask_recall"):
            label, output = label[:, None], output[:, None]
        metric.update_state(label, output)
        expected = float(metric.result())
        assert logs[name] == pytest.approx(expected, abs=1e-5), name


@pytest.mark.parametrize(
    ("loss", "reduction", "scale"),
    [
        ("BinaryCrossentropy", "sum_over_batch_size", None),
        ("BinaryCrossentropy", "sum", 5.0),
        ("MeanSquaredError", "sum_over_batch_size", None),
        ("Huber", "mean_with_sample_weight", "weights"),
    ],
)
def test_weights_for_single_labels(loss, reduction, scale):
    """`Σ w l / #{w ≠ 0}` over single labels, by NumPy."""
    loss = getattr(keras.losses, loss)(reduction=reduction)
    model = compiled({"tags": keras.layers.Dense(5, "sigmoid")}, {"tags": loss})
    y = (RNG.uniform(size=(ROWS, 5)) < 0.4).astype("float32")
    y[0, 0] = np.nan
    weight = RNG.integers(0, 3, (ROWS, 5)).astype("float32")
    weight[0, 0] = 0.0
    logs = evaluate(
        model, X, {"tags": y}, sample_weight={"tags": weight}, batch_size=ROWS
    )
    p = model.predict(X, verbose=0)["tags"]
    t = np.nan_to_num(y)
    if isinstance(loss, keras.losses.BinaryCrossentropy):
        values = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    else:
        half = 2.0 if isinstance(loss, keras.losses.Huber) else 1.0
        values = (p - t) ** 2 / half
    divisor = {None: (weight != 0).sum(), "weights": weight.sum()}
    expected = (values * weight).sum() / divisor.get(scale, scale)
    assert logs["tags_loss"] == pytest.approx(expected, rel=1e-4)
    masked, present = mask_missing({"tags": y}, vector=False)
    assert present["tags"].shape == y.shape
    assert np.isfinite(history(model, X, masked, sample_weight=present)["loss"])


def test_a_task_without_labels_in_an_epoch_has_no_metric():
    model = two(metrics=["mae"])
    data = tf.data.Dataset.from_tensor_slices(
        (X, Y, {"a": np.ones(ROWS), "b": np.zeros(ROWS)})
    ).batch(4)
    with pytest.warns(UserWarning, match=r"tasks \['b'\] had no label"):
        logs = history(model, data)
    assert np.isnan([logs["b_loss"], logs["b_mae"]]).all()
    assert np.isfinite(logs["a_mae"]).all()
    stacked = build(StackedHeads(["a", "b"]))
    stacked.compile("sgd", "mse", metrics=["mae"], jit_compile=False)
    logs = evaluate(stacked, X, {"a": Y["a"]})
    assert np.isnan([logs["b_loss"], logs["b_mae"]]).all()
    error = stacked.predict(X, verbose=0)[:, 0] - Y["a"][:, 0]
    assert logs["a_mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    with pytest.warns(UserWarning, match=r"tasks \['b'\] have no labels in"):
        history(stacked, X, {"a": Y["a"]})


@pytest.mark.parametrize("name", ["loss", "weight"])
def test_a_metric_does_not_overwrite_a_column(name):
    metric = keras.metrics.MeanSquaredError(name=name)
    with pytest.raises(ValueError, match=f"be called 'a_{name}', as the"):
        history(two(metrics={"a": [metric]}), X, Y)


def test_metrics_of_one_class_are_named_after_their_tasks_alone():
    """Not `b_auc_1`, as Keras names the second `AUC` of a process."""
    areas = {task: [keras.metrics.AUC()] for task in "ab"}
    model = two(metrics=areas)
    logs = evaluate(model, X, {task: Y[task] > 0.0 for task in "ab"})
    losses = {"loss", "a_loss", "b_loss"}
    assert logs.keys() == {*losses, "a_auc", "b_auc", "mean_auc"}
    outputs = model.predict(X, verbose=0)
    for task in "ab":
        area = keras.metrics.AUC()
        area.update_state(Y[task] > 0.0, outputs[task])
        assert logs[f"{task}_auc"] == pytest.approx(float(area.result()))


def test_integer_labels_of_losses_that_take_classes():
    heads = {"main": keras.layers.Dense(3, "softmax")}
    for loss in (
        keras.losses.CategoricalGeneralizedCrossEntropy(),
        keras.losses.Circle(),
    ):
        model = compiled(dict(heads), {"main": loss})
        logs = evaluate(model, X, {"main": KINDS}, batch_size=ROWS)
        output = tf.constant(model.predict(X, verbose=0)["main"])
        expected = float(loss(tf.constant(KINDS, "float32"), output))
        assert logs["main_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", ["ragged", "sparse"])
def test_ragged_and_sparse_inputs_of_a_data_set(kind):
    if kind == "ragged":
        tokens = tf.ragged.constant([[1, 2], [3], [4, 1, 2], [2]])
        inputs = keras.Input((None,), dtype="int32", ragged=True)

        def bag(tokens):
            if isinstance(tokens, tf.RaggedTensor):
                tokens = tokens.to_tensor()
            return tf.reduce_mean(tf.one_hot(tokens, 5), axis=1)

        middle = keras.layers.Lambda(bag, output_shape=(5,))(inputs)
    else:
        tokens = tf.sparse.from_dense(np.eye(4, dtype="float32"))
        inputs = keras.Input((4,), sparse=True)
        middle = keras.layers.Dense(5)(inputs)
    encoder = keras.Model(inputs, middle)
    model = build({"a": keras.layers.Dense(1)}, encoder)
    model.compile("sgd", {"a": "mse"}, jit_compile=False)
    labels = {"a": np.ones((4, 1), "float32")}
    data = tf.data.Dataset.from_tensor_slices((tokens, labels)).batch(4)
    logs = evaluate(model, data, None)
    output = model.predict(data.map(lambda x, y: x), verbose=0)["a"]
    assert logs["a_loss"] == pytest.approx(np.mean((output - 1) ** 2), rel=1e-4)
    assert history(model, data)["a_loss"][0] == pytest.approx(
        logs["a_loss"], rel=1e-5
    )


def test_inputs_named_as_tasks():
    inputs = {name: keras.Input((2,), name=name) for name in ("image", "age")}
    both = keras.layers.Concatenate()(list(inputs.values()))
    encoder = keras.Model(inputs, keras.layers.Dense(5)(both))
    heads = {"age": keras.layers.Dense(1), "sex": keras.layers.Dense(2)}
    x = {"image": X[:, :2], "age": X[:, 2:]}
    y = {"age": Y["a"], "sex": Y["b"]}
    model = build(heads, encoder)
    model.compile("sgd", "mse", weighter="pcgrad", jit_compile=False)
    assert np.isfinite(history(model, x, y)["loss"]).all()

    class Joins(keras.layers.Layer):
        def call(self, inputs):
            return keras.ops.concatenate([inputs["image"], inputs["age"]], -1)

    def of_layer(**kwargs):
        heads = {"age": keras.layers.Dense(1), "sex": keras.layers.Dense(2)}
        model = build(heads, Joins(), **kwargs)
        model.compile("sgd", "mse", jit_compile=False)
        return model

    with pytest.raises(ValueError, match="Pass separate_inputs=False to Multi"):
        of_layer().fit(x, y, verbose=0)
    model = of_layer(separate_inputs=False)
    assert model.get_config()["separate_inputs"] is False
    assert np.isfinite(history(model, x, y)["loss"]).all()
    with pytest.raises(ValueError, match=r"\['image'\] are no tasks"):
        of_layer(separate_inputs=True).fit(x, y, verbose=0)
