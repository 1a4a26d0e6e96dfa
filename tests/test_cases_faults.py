"""Cases of users: numbers that are not finite, and epochs without a step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from tests.training import (
    LOSSES,
    differing,
    make_data,
    new_model,
    query_for,
    state,
)

ROWS = 12


def root(label, output):
    """A distance: its gradient is that of a root, not finite at 0."""
    return tf.sqrt(tf.reduce_sum(tf.square(output - label), axis=-1))


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("uniform", {}),
        ("slaw", {"jit_compile": True}),
        ("dwa", {"run_eagerly": True}),
        ("uncertainty", {}),
        ("pcgrad", {}),
        ("gradnorm", {}),
        ("meta_weighting", {}),
    ],
)
def test_a_finite_loss_with_a_gradient_that_is_not(name, mode):
    """1 / 0 from the root times 0 from the square below it."""
    loss = {**LOSSES, "stars": root}
    model = new_model(name, loss=loss, model={"batch_norm": True}, **mode)
    query = query_for(name)
    model.train_on_batch(*make_data(ROWS), query_data=query)
    x, y = make_data(ROWS)
    # Batch-norm: predictions in training differ. Zero kernels make them equal.
    for variable in model.heads["stars"].variables:
        variable.assign(tf.zeros_like(variable))
    y["stars"] = np.zeros_like(y["stars"])
    before = state(model)

    logs = model.train_on_batch(x, y, query_data=query, return_dict=True)

    assert logs["skipped_steps"] == 1.0
    assert logs["stars_loss"] != logs["stars_loss"]  # No step counted.
    assert np.isfinite(logs["loss"])  # That of the step that was skipped.
    assert not differing(state(model), before)


def test_the_warning_names_the_variable():
    """A NaN that a relu drops is in no loss, but in the kernel's gradient."""
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5, name="first")(inputs)
    hidden = keras.layers.Lambda(lambda h: tf.where(h > 0.0, h, 0.0))(hidden)
    model = MultiTaskModel(
        keras.Model(inputs, hidden), {"a": keras.layers.Dense(1, name="head")}
    )
    model.compile("sgd", loss="mse", jit_compile=False)
    x, y = np.ones((8, 4), "float32"), {"a": np.zeros((8, 1), "float32")}
    x[3, 2] = np.nan
    before = [w.copy() for w in model.get_weights()]
    with pytest.warns(UserWarning, match="skipped") as told:
        history = model.fit(x, y, batch_size=8, verbose=0).history
    assert str(told[0].message).startswith(
        "1 steps of epoch 1 were skipped: the gradient of the variable "
        "'first/kernel' was not finite, though the losses were."
    )
    assert history["skipped_steps"] == [1.0]
    assert np.isnan(history["loss"]).all()
    np.testing.assert_equal(model.get_weights(), before)


def test_an_epoch_without_a_step_is_never_the_best(tmp_path):
    """Its means are over nothing, NaN; training that recovers goes on."""
    model = new_model("slaw", metrics={"stars": ["mae"]})
    x, y = make_data(2 * ROWS)
    bad = {**y, "stars": np.full_like(y["stars"], 3e38)}
    data = [
        tf.data.Dataset.from_tensor_slices((x, labels)).batch(ROWS)
        for labels in (bad, y, y)
    ]
    data = data[0].concatenate(data[1]).concatenate(data[2])
    stopping = keras.callbacks.EarlyStopping("loss", patience=1)
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5",
        monitor="loss",
        save_best_only=True,
        save_weights_only=True,
    )
    with pytest.warns(UserWarning, match=r"\['stars'\] were not finite"):
        history = model.fit(
            data,
            epochs=3,
            steps_per_epoch=2,
            callbacks=[stopping, checkpoint],
            verbose=0,
        ).history
    for name in ("loss", "tone_loss", "stars_loss", "tone_weight"):
        assert np.isnan(history[name]).tolist() == [True, False, False], name
    assert history["skipped_steps"] == [2.0, 0.0, 0.0]
    assert checkpoint.best == stopping.best == min(history["loss"][1:])

    stop = keras.callbacks.TerminateOnNaN()
    with pytest.warns(UserWarning, match="1 steps of epoch 1 were skipped"):
        history = model.fit(x, bad, batch_size=ROWS, epochs=3, callbacks=[stop])
    assert history.epoch == [0]


def test_a_frozen_table_is_no_state_of_a_step():
    """What the forward pass does not assign, the step does not, either."""
    inputs = keras.Input((3,), dtype="int32")
    table = keras.layers.Embedding(50, 4, trainable=False)
    hidden = keras.layers.GlobalAveragePooling1D()(table(inputs))
    norm = keras.layers.BatchNormalization()
    model = MultiTaskModel(
        keras.Model(inputs, norm(hidden)), {"a": keras.layers.Dense(1)}
    )
    model.compile("sgd", loss="mse", jit_compile=False)
    x, y = np.ones((8, 3), "int32"), {"a": np.zeros((8, 1), "float32")}
    model.train_on_batch(x, y)

    @tf.function(autograph=False)
    def step():
        return model.train_step((tf.constant(x), y, None))

    graph = step.get_concrete_function().graph

    def writers(variable):
        handle = graph.capture(variable.value.handle)
        return [op.type for op in handle.consumers() if "Assign" in op.type]

    assert writers(table.embeddings) == []
    assert writers(norm.moving_mean) != []
