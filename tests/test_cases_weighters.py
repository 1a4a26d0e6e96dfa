"""Cases of users: a loss of 1e30, shares of one's own, export of many heads."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel, data, weighters
from tests.training import TASKS, make_data, new_model, read


@pytest.mark.parametrize("first", [False, True])
def test_an_outlier_does_not_stay_in_slaws_moments(first):
    """The others' weights, and later all, are those without the outlier."""
    rng = np.random.default_rng(0)
    losses = rng.uniform(1.0, 2.0, (30, 3)).astype("float32")
    slaw, twin = weighters.SLAW(), weighters.SLAW()
    for number, row in enumerate(losses):
        if number == (0 if first else 7):
            spoilt = row.copy()
            spoilt[1] = 1e30
            weights = slaw(losses=spoilt)
            np.testing.assert_allclose(np.sum(weights), 3.0, rtol=1e-5)
            twin(losses=row, present=[1.0, 0.0, 1.0])
            continue
        weights, expected = slaw(losses=row), twin(losses=row)
        np.testing.assert_allclose(weights, expected, rtol=1e-5)
    alone = weighters.SLAW()
    for loss in (1.0, 1e30, 2.0, 3.0):
        np.testing.assert_allclose(alone(losses=[loss]), [1.0])


@pytest.mark.parametrize("name", ["dwa", "bandit_mtl", "gradnorm"])
def test_an_outlier_leaves_every_state_finite(name):
    weighter = weighters.get(name)
    for scale in (1.0, 1e30, 1.0, 1.0):
        losses = np.float32([1.0, scale, 2.0])
        signals = {"losses": losses, "gradient_norms": losses}
        weights = weighter(
            **{n: signals[n] for n in weighter.needs if n in signals}
        )
        np.testing.assert_allclose(np.sum(weights), 3.0, rtol=1e-4)
        for value in read(weighter.variables):
            assert np.all(np.isfinite(value))


def test_shares_of_ones_own():
    """3 : 1 of a batch of 8 rows."""
    rows = {t: (np.zeros((20, 2)), np.zeros((20, 1))) for t in ("a", "b")}
    batches = data.task_batches(
        rows, 4, "proportional", alpha={"a": 0.75, "b": 0.25}
    )
    x, _ = next(iter(batches))
    assert {task: len(part) for task, part in x.items()} == {"a": 6, "b": 2}
    with pytest.raises(ValueError, match="a share for each of the tasks"):
        data.task_batches(rows, 4, "proportional", alpha={"a": 1.0})
    with pytest.raises(ValueError, match=r"alpha\['b'\]` must be greater than"):
        data.task_batches(rows, 4, "proportional", alpha={"a": 1.0, "b": 0.0})


def test_export_traces_a_head_as_often_for_many_tasks(tmp_path):
    traced = []

    class Head(keras.layers.Dense):
        def call(self, inputs):
            if not isinstance(inputs, keras.KerasTensor):
                traced.append(self.name)
            return super().call(inputs)

    counts = []
    for num_tasks in (2, 5):
        encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        heads = {f"t{k}": Head(1) for k in range(num_tasks)}
        model = MultiTaskModel(encoder, heads)
        traced.clear()
        model.export(tmp_path / str(num_tasks), verbose=False)
        counts.append(len(traced) / num_tasks)
    assert counts[0] == counts[1] <= 2
    served = tf.saved_model.load(tmp_path / "5")
    x = np.ones((2, 4), "float32")
    np.testing.assert_allclose(
        served.t3(x)["t3"], model(x)["t3"], rtol=1e-5, atol=1e-6
    )


def test_the_log_variances_that_were_learned():
    """Weights exp(-s) of classification, exp(-s) / 2 of regression."""
    model = new_model("uncertainty")
    model.fit(*make_data(), epochs=3, verbose=0)
    assert model.weighter.task_names == TASKS
    log_variance = np.array(model.weighter.log_variance)
    model.train_on_batch(*make_data())
    expected = np.exp(-log_variance) * [1.0, 0.5, 1.0]
    np.testing.assert_allclose(
        list(model.task_weights.values()), expected, rtol=1e-5
    )
