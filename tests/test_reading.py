"""What `task_gradients` reports, against backward passes in NumPy's sums."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl
from keras_mtl.gradients import roles
from tests.training import TASKS, make_data, new_model, separate


def by_hand(model, x, y):
    """Returns `{variable's path: (K, size)}`, a backward pass per task."""
    variables = roles.task_variables(model)
    rows = {v.path: [] for v in variables}
    for task in TASKS:
        with tf.GradientTape() as tape:
            output = model(x, training=False)[task]
            loss = keras.losses.get(model.task_losses.loss[task])
            mine = tf.reduce_mean(loss(y[task], output))
        pulled = tape.gradient(mine, [v.value for v in variables])
        for variable, gradient in zip(variables, pulled, strict=True):
            zero = np.zeros(np.prod(variable.shape))
            flat = zero if gradient is None else np.ravel(gradient.numpy())
            rows[variable.path].append(flat.astype("float64"))
    return {path: np.stack(g) for path, g in rows.items()}


@pytest.mark.parametrize("arrange", [lambda data: data, separate])
def test_the_report_is_that_of_a_backward_pass_per_task(arrange):
    model, data = new_model("slaw", model={"dropout": 0.5}), make_data()
    x, y = arrange(data)
    model(x)
    before = model.get_weights()
    gradients = by_hand(model, x, y)
    layers = {}
    for path, rows in gradients.items():
        layer = path.rpartition("/")[0]
        layers[layer] = layers.get(layer, 0.0) + rows @ rows.T
    report = keras_mtl.task_gradients(model, x, y, scope="all", by="layer")
    assert report.task_names == TASKS
    assert report.scope == "all"
    assert report.layers.keys() == layers.keys()
    for layer, expected in layers.items():
        atol = 1e-5 * np.trace(expected)
        np.testing.assert_allclose(report.layers[layer], expected, atol=atol)
    total = sum(layers.values())
    np.testing.assert_allclose(
        report.gramian, total, atol=1e-5 * np.trace(total)
    )
    norms = np.sqrt(np.diag(total))
    np.testing.assert_allclose(report.norms, norms, rtol=1e-5)
    np.testing.assert_allclose(
        report.cosines, total / np.outer(norms, norms), atol=1e-5
    )
    losses = model.evaluate(x, y, verbose=0, return_dict=True)
    expected = [losses[f"{task}_loss"] for task in TASKS]
    np.testing.assert_allclose(report.losses, expected, rtol=1e-5)
    # Only its own task reaches a head.
    head = next(layer for layer in layers if "stars" in layer)
    known = ~np.isnan(report.layer_cosines[head])
    np.testing.assert_array_equal(known, np.diag([False, True, False]))
    np.testing.assert_equal(model.get_weights(), before)


def test_a_picture_has_a_panel_for_the_scope_and_for_each_layer(tmp_path):
    pytest.importorskip("matplotlib")
    model, (x, y) = new_model(), make_data()
    report = keras_mtl.task_gradients(model, x, y, by="layer")
    assert list(report.layers) == ["trunk"]
    named = keras_mtl.task_gradients(model, x, y, scope=["trunk"])
    np.testing.assert_allclose(named.gramian, report.gramian, rtol=1e-5)
    assert named.scope == ("trunk",)
    assert keras_mtl.task_gradients(model, x, y).layers == {}
    report.plot(tmp_path / "cosines.png")
    from matplotlib import image

    height, width, _ = image.imread(tmp_path / "cosines.png").shape
    assert width > 1.5 * height  # Two panels side by side.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"scope": "share"},
            "The scope 'share' is neither one of ['representation', "
            "'last_shared_layer', 'shared', 'all'] nor the name of a layer. "
            "Did you mean 'shared'?",
        ),
        ({"scope": 3}, "`scope` must be one of"),
        ({"by": "layers"}, "Did you mean 'layer'?"),
        (
            {"by": "layer", "scope": "representation"},
            "no share of gradients at the representation. Pass scope='shared'",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    x, y = make_data()
    with pytest.raises(ValueError, match=re.escape(message)):
        keras_mtl.task_gradients(new_model(), x, y, **arguments)


def test_a_model_that_is_not_compiled():
    model = keras_mtl.MultiTaskModel(
        keras.layers.Dense(2), {"a": keras.layers.Dense(1)}
    )
    with pytest.raises(ValueError, match="compiled and built"):
        keras_mtl.task_gradients(model, np.ones((2, 3)), {"a": np.ones(2)})
