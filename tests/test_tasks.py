"""Per-task losses: Keras' own numbers, and means over present labels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.tasks.task_losses import TaskLosses, loss_kind

RNG = np.random.default_rng(0)


def loss_of(loss, label, output, weight=None):
    """Returns the loss of one task called 'a'."""
    losses = TaskLosses(("a",), {"a": loss})
    sums, counts, divides = losses(
        {"a": tf.constant(label)},
        {"a": tf.constant(output)},
        None if weight is None else {"a": tf.constant(weight)},
    )
    return float(sums[0] / counts[0] if divides[0] else sums[0])


PAIRS = {
    "mse": (RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))),
    "mae": (RNG.normal(size=(5, 4, 2)), RNG.normal(size=(5, 4, 2))),
    "huber": (RNG.normal(size=5), RNG.normal(size=(5, 1))),
    "binary_crossentropy": (
        RNG.integers(0, 2, (6, 1)),
        RNG.uniform(0.1, 0.9, (6, 1)),
    ),
    "sparse_categorical_crossentropy": (
        RNG.integers(0, 3, (4, 2)),
        RNG.dirichlet(np.ones(3), (4, 2)),
    ),
    "categorical_crossentropy": (
        np.eye(3)[RNG.integers(0, 3, 5)],
        RNG.dirichlet(np.ones(3), 5),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_full_batch_has_the_loss_of_keras(name):
    label, output = (part.astype("float32") for part in PAIRS[name])
    loss = keras.losses.get(name)
    expected = np.mean(loss(tf.constant(label), tf.constant(output)))
    assert loss_of(name, label, output) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", PAIRS)
def test_masked_rows_count_neither_above_nor_below(name):
    """`Σ s l / #{s ≠ 0}` with a 0/1 mask is the loss of the kept rows."""
    label, output = (part.astype("float32") for part in PAIRS[name])
    kept = np.arange(len(label)) % 2 == 0
    masked = loss_of(name, label, output, kept.astype("float32"))
    assert masked == pytest.approx(loss_of(name, label[kept], output[kept]))


def test_a_fractional_weight_does_not_shrink_the_denominator():
    label, output = np.zeros((3, 1), "float32"), np.ones((3, 1), "float32")
    weight = np.array([0.5, 2.0, 0.0], "float32")
    assert loss_of("mse", label, output, weight) == pytest.approx(2.5 / 2)


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [("sum", 2.5), ("mean", 1.25), ("mean_with_sample_weight", 1.0)],
)
def test_reductions_of_keras_losses(reduction, expected):
    loss = keras.losses.MeanSquaredError(reduction=reduction)
    label, output = np.zeros((3, 1), "float32"), np.ones((3, 1), "float32")
    weight = np.array([0.5, 2.0, 0.0], "float32")
    assert loss_of(loss, label, output, weight) == pytest.approx(expected)


@pytest.mark.parametrize("missing", [np.nan, -1.0])
def test_a_missing_label_does_no_harm_to_value_or_gradient(missing):
    losses = TaskLosses(
        ("a", "b"), {"a": "mse", "b": "sparse_categorical_crossentropy"}
    )
    number = tf.constant([[1.0], [missing]])
    classes = tf.constant([[1.0], [missing]])
    outputs = {
        "a": tf.Variable([[0.0], [0.0]]),
        "b": tf.Variable([[0.5, 0.5], [0.5, 0.5]]),
    }
    weight = tf.constant([1.0, 0.0])
    with tf.GradientTape() as tape:
        sums, counts, _ = losses(
            {"a": number, "b": classes}, outputs, {"a": weight, "b": weight}
        )
    np.testing.assert_allclose(sums, [1.0, np.log(2.0)], rtol=1e-6)
    np.testing.assert_allclose(counts, [1.0, 1.0])
    for gradient in tape.gradient(sums, list(outputs.values())):
        assert np.all(np.isfinite(gradient))
        np.testing.assert_array_equal(gradient[1], 0.0)


def test_keras_masks_of_predictions_count_as_missing():
    output = tf.constant([[1.0, 1.0, 5.0]])[..., None]
    output._keras_mask = tf.constant([[True, True, False]])
    losses = TaskLosses(("a",), {"a": "mse"})
    labels = {"a": tf.zeros((1, 3, 1))}
    sums, counts, _ = losses(labels, {"a": output})
    assert (float(sums[0]), float(counts[0])) == (2.0, 2.0)
    weight = {"a": tf.constant([[0.5, 0.0, 1.0]])}
    sums, counts, _ = losses(labels, {"a": output}, weight)
    assert (float(sums[0]), float(counts[0])) == (0.5, 1.0)


@pytest.mark.parametrize("weight_shape", [(3,), (3, 1)])
def test_missing_labels_do_not_reach_gradients(weight_shape):
    """`NaN * 0` is NaN: such labels must be gone before the loss."""
    label = np.float32([1.0, np.nan, 2.0])
    weight = np.float32([1.0, 0.0, 1.0]).reshape(weight_shape)
    output = tf.constant([0.5, 0.5, 0.5])
    losses = TaskLosses(("a",), {"a": "mse"})
    with tf.GradientTape() as tape:
        tape.watch(output)
        sums, counts, _ = losses(
            {"a": label}, {"a": output[:, None]}, {"a": weight}
        )
    assert (float(sums[0]), float(counts[0])) == (0.5**2 + 1.5**2, 2.0)
    np.testing.assert_allclose(tape.gradient(sums, output), [-1.0, 0.0, -3.0])


def test_a_loss_that_returns_a_scalar():
    def total(y_true, y_pred):
        return tf.reduce_mean(tf.square(y_true - y_pred))

    label, output = np.zeros((4, 2), "float32"), np.ones((4, 2), "float32")
    assert loss_of(total, label, output) == 1.0
    with pytest.raises(ValueError, match=r"task 'a' returns a scalar, which"):
        loss_of(total, label, output, np.ones(4, "float32"))


@pytest.mark.parametrize(
    ("loss", "label", "output", "message"),
    [
        (
            "mse",
            np.zeros((4, 1), "float32"),
            np.zeros((4, 3), "float32"),
            r"labels of task 'a' do not have the shape of its predictions. "
            r"Received: labels \(4, 1\) of float32, predictions \(4, 3\)",
        ),
        (
            "mse",
            np.zeros((3,), "float32"),
            np.zeros((3, 3), "float32"),
            r"labels of task 'a' do not have the shape of its predictions. "
            r"Received: labels \(3,\) of float32, predictions \(3, 3\)",
        ),
        (
            "categorical_crossentropy",
            np.zeros((4,), "int64"),
            np.zeros((4, 3), "float32"),
            r"labels of task 'a' do not have the shape of its predictions. "
            r"Received: labels \(4,\) of int64",
        ),
        (
            "mse",
            np.array(["x", "y"]),
            np.zeros((2,), "float32"),
            r"Task 'a' has text labels. Encode them as numbers",
        ),
    ],
)
def test_labels_that_do_not_fit(loss, label, output, message):
    with pytest.raises(ValueError, match=message):
        loss_of(loss, label, output)


def test_kinds_are_told_from_the_loss():
    losses = {
        "a": "mse",
        "b": "sparse_categorical_crossentropy",
        "c": keras.losses.BinaryCrossentropy(from_logits=True),
        "d": keras.losses.Huber(),
        "e": keras.losses.categorical_hinge,
        "f": lambda y_true, y_pred: y_true - y_pred,
        "g": "ce",
        "h": keras.losses.BinaryFocalCrossentropy(),
    }
    kinds = TaskLosses(tuple(losses), losses).kinds
    classification = {task for task in kinds if kinds[task] != "regression"}
    assert classification == {"b", "c", "e", "g", "h"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ({"a": "mse", "toxicity": "mse"},),
            r"Task 'toxicity' has a loss but the model has no head of that "
            r"name. Heads: \['a', 'b'\].",
        ),
        (
            ({"a": "mse"}, {"b": 1.0}),
            r"Task 'b' has a loss weight but the model has no loss for it. "
            r"Tasks with a loss: \['a'\]. Leave out the loss weight.",
        ),
        (({"a": None},), r"No task has a loss. Pass loss=\{task: loss\}"),
        ((["mse", "mae"],), r"`loss` must be a dict from task name to loss"),
        (({"a": "mes"},), r"loss of task 'a' is no loss of Keras. Received"),
        ((None,), r"compile\(\) needs a loss for each task"),
        (("mse", {"a": -1.0}), r"`loss_weights\['a'\]` must be at least 0"),
        (("mse", [1.0, 2.0]), r"`loss_weights` must be a dict"),
        (("mse", {"c": 1.0}), r"Task 'c' has a loss weight but the model"),
    ],
)
def test_names_and_weights_that_do_not_match(arguments, message):
    with pytest.raises(ValueError, match=message):
        TaskLosses(("a", "b"), *arguments)


def test_what_a_loss_is_of_by_its_name():
    def mean_squared_difference(label, output):
        return tf.reduce_mean((label - output) ** 2, -1)

    def weighted_ce(label, output):
        return tf.nn.sigmoid_cross_entropy_with_logits(label, output)

    classify = ["binary_crossentropy", "hinge", "ce", weighted_ce]
    classify.append(keras.losses.SparseCategoricalCrossentropy())
    assert {loss_kind(loss) for loss in classify} == {"classification"}
    regress = ["mse", "huber", mean_squared_difference]
    regress.append(keras.losses.MeanAbsoluteError())
    assert {loss_kind(loss) for loss in regress} == {"regression"}
