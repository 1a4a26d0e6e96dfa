"""Cases of users: what `fit` and `evaluate` take, return and leave alone."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import weighters
from tests.training import (
    LOSSES,
    TASKS,
    build_model,
    compile_model,
    differing,
    make_data,
    new_model,
    state,
)

ROWS = 6


class Batches(keras.utils.PyDataset):
    """Batches in order; counts the epochs that Keras tells it of."""

    def __init__(self, data, endless=False, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y = data
        self.endless, self.epochs = endless, 0

    def __len__(self):
        return len(self.x) // ROWS

    @property
    def num_batches(self):
        return None if self.endless else len(self)

    def __getitem__(self, number):
        number %= len(self)
        rows = slice(number * ROWS, (number + 1) * ROWS)
        return self.x[rows], {t: label[rows] for t, label in self.y.items()}

    def on_epoch_end(self):
        self.epochs += 1


def generator(data):
    """Yields the batches without end."""
    batches = Batches(data, workers=1)
    while True:
        for number in range(len(batches)):
            yield batches[number]


SOURCES = {
    "py_dataset": Batches,
    "workers": lambda data: Batches(data, workers=2),
    "endless": lambda data: Batches(data, endless=True),
    "generator": generator,
    "tf.data": lambda data: (
        tf.data.Dataset.from_tensor_slices(data).batch(ROWS).repeat()
    ),
}


IN_ORDER = {"epochs": 2, "shuffle": False, "verbose": 0}


def in_batches(data):
    return tf.data.Dataset.from_tensor_slices(data).batch(ROWS)


@functools.cache
def of_arrays(query_arrays):
    """Returns the history of arrays in order, one step at a time.

    Args:
        query_arrays: Boolean, whether the query rows are one batch of arrays,
            which would be shuffled; `None` if there are none.
    """
    data, asked = make_data(4 * ROWS), make_data(2 * ROWS, seed=3)
    given = dict(IN_ORDER)
    if query_arrays:
        given |= {"query_data": asked, "query_batch_size": 2 * ROWS}
    elif query_arrays is not None:
        given["query_data"] = in_batches(asked)
    model = new_model("slaw" if query_arrays is None else "meta_weighting")
    return model.fit(*data, batch_size=ROWS, **given).history


@pytest.mark.parametrize(
    ("support", "query"),
    [
        ("workers", None),
        ("endless", None),
        ("generator", None),
        ("py_dataset", "arrays"),
        ("workers", "py_dataset"),
        ("generator", "tf.data"),
        ("endless", "workers"),
        ("tf.data", "generator"),
        ("py_dataset", "endless"),
    ],
)
def test_batches_of_every_kind(support, query):
    """All give the batches that arrays in order give, and the same model."""
    data, asked = make_data(4 * ROWS), make_data(2 * ROWS, seed=3)
    name = "slaw" if query is None else "meta_weighting"
    model = new_model(name, steps_per_execution=2)
    given = dict(IN_ORDER)
    if support not in ("py_dataset", "workers"):
        given["steps_per_epoch"] = 4
    if query == "arrays":
        given |= {"query_data": asked, "query_batch_size": 2 * ROWS}
    elif query is not None:
        given["query_data"] = SOURCES[query](asked)
        if query == "tf.data":
            given["query_data"] = in_batches(asked)
    source = SOURCES[support](data)
    history = model.fit(source, **given).history
    for name, values in of_arrays(query and query == "arrays").items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, atol=1e-5)
    if isinstance(source, Batches):
        assert source.epochs >= 2


def test_several_processes():
    data = make_data(2 * ROWS)
    source = Batches(data, workers=2, use_multiprocessing=True)
    model, expected = new_model("slaw"), new_model("slaw")
    model.fit(source, shuffle=False, verbose=0)
    expected.fit(*data, batch_size=ROWS, shuffle=False, verbose=0)
    assert model.task_weights == pytest.approx(expected.task_weights)


def test_what_cannot_be_split_or_has_no_query_says_so():
    data = make_data(2 * ROWS)
    model = new_model("meta_weighting")
    with pytest.raises(
        ValueError,
        match=r"query_split splits arrays\. Received: "
        r"a Batches\. Pass the query rows as query_data",
    ):
        model.fit(Batches(data), query_split=0.1)
    with pytest.raises(ValueError, match=r"needs query data\. Pass query_spl"):
        model.fit(Batches(data))


def test_sample_weights_that_a_generator_leaves_out():
    x, y = make_data(ROWS)
    model = new_model("slaw")
    model.fit(((x, y, None) for _ in range(3)), steps_per_epoch=2, verbose=0)
    assert int(model.optimizer.iterations) == 2


@pytest.mark.parametrize("how", ["query", "labels", "data_set", "loss"])
def test_a_call_that_is_refused_changes_nothing(how):
    """Weighter, its state, optimizer and parameters; and training goes on."""
    x, y = make_data(ROWS)
    # Refused before a step is traced, or while it is.
    eager = how in ("query", "labels")
    model = new_model("slaw", run_eagerly=eager)
    twin = new_model("slaw", run_eagerly=eager)
    for each in (model, twin):
        each.fit(x, y, epochs=2, verbose=0)
    weighter, optimizer, before = model.weighter, model.optimizer, state(model)
    unknown = {**y, "mood": y["tone"]}
    dataset = tf.data.Dataset.from_tensors((x, unknown))
    stretched = {**y, "stars": np.zeros((ROWS, 7), "float32")}
    arguments = {
        "query": {"x": x, "y": y, "weighter": "meta_weighting"},
        "labels": {"x": x, "y": unknown, "weighter": "dwa"},
        "data_set": {"x": dataset, "weighter": "uncertainty"},
        "loss": {"x": x, "y": stretched, "weighter": "uncertainty"},
    }
    with pytest.raises(ValueError, match=r"needs query|'mood'|'stars'"):
        model.fit(**arguments[how])
    assert model.weighter is weighter
    assert model.optimizer is optimizer
    assert not differing(state(model), before)
    for each in (model, twin):
        each.fit(x, y, verbose=0)
    assert not differing(state(model), state(twin))


def test_a_weighter_serves_one_model():
    slaw = weighters.SLAW()
    first = new_model(slaw)
    first.fit(*make_data(), verbose=0)
    with pytest.raises(ValueError, match="SLAW already serves another model"):
        compile_model(build_model(), slaw)
    second = new_model("uniform")
    with pytest.raises(ValueError, match="SLAW already serves another model"):
        second.fit(*make_data(), weighter=slaw)
    assert type(second.weighter) is weighters.Constant
    compile_model(first, slaw)  # The same one again.
    again = weighters.SLAW.from_config(slaw.get_config())
    second.fit(*make_data(), weighter=again, verbose=0)


def test_the_list_of_callbacks_stays_the_users(tmp_path):
    model = new_model("slaw")
    data, log = make_data(), keras.callbacks.CSVLogger(tmp_path / "log.csv")
    listed = keras.callbacks.CallbackList(
        [log], add_history=True, model=model, epochs=2, steps=1, verbose=0
    )
    kept = list(listed.callbacks)
    for _ in range(2):
        history = model.fit(*data, callbacks=listed, epochs=2, verbose=0)
    assert listed.callbacks == kept
    assert len(history.history["loss"]) == 4
    given = [log]
    model.fit(*data, callbacks=given, verbose=0)
    assert given == [log]


@pytest.mark.parametrize("validation_freq", [None, 1, 2])
def test_csv_has_no_column_that_is_never_filled(tmp_path, validation_freq):
    model = new_model("slaw", metrics={"class": ["accuracy"]})
    data, path = make_data(), tmp_path / "log.csv"
    validation = (
        {}
        if validation_freq is None
        else {"validation_data": data, "validation_freq": validation_freq}
    )
    log = keras.callbacks.CSVLogger(path)
    model.fit(*data, epochs=2, callbacks=[log], verbose=0, **validation)
    header, *rows = [line.split(",") for line in path.read_text().split()]
    trained = ["loss", "skipped_steps", "class_accuracy"]
    for task in TASKS:
        trained += [f"{task}_loss", f"{task}_weight"]
    evaluated = ["loss", "class_accuracy", *(f"{t}_loss" for t in TASKS)]
    if validation_freq is None:
        evaluated = []
    expected = {"epoch", *trained, *(f"val_{name}" for name in evaluated)}
    assert set(header) == expected
    columns = zip(*rows, strict=True)
    assert all(set(column) != {"NA"} for column in columns)


def test_lists_have_the_order_of_keras():
    metrics = {"tone": ["accuracy"], "stars": ["mse", "mae"]}
    model = new_model("slaw", metrics=metrics)
    inputs = keras.Input((4,))
    encoded = model.encoder(inputs)
    plain = keras.Model(inputs, {t: model.heads[t](encoded) for t in TASKS})
    plain.compile("adam", loss=LOSSES, metrics=metrics)
    x, y = make_data()
    np.testing.assert_allclose(
        model.evaluate(x, y, verbose=0),
        plain.evaluate(x, y, verbose=0),
        rtol=1e-5,
    )
    expected = plain.test_on_batch(x, y)
    np.testing.assert_allclose(model.test_on_batch(x, y), expected, rtol=1e-5)
    mine = model.train_on_batch(x, y)
    # `loss` is that of the first step, in which SLAW's weights are 1.
    np.testing.assert_allclose(mine[: len(expected)], expected, rtol=1e-5)
    assert mine[-1] == 0.0  # Steps skipped: what is not Keras' comes last.


def test_weights_as_arrays():
    constant = weighters.Constant(np.array([1.0, 2.0, 0.5]))
    assert constant.get_config()["weights"] == [1.0, 2.0, 0.5]
    model = new_model(constant)
    assert list(model.task_weights.values()) == [1.0, 2.0, 0.5]
    with pytest.raises(ValueError, match="one entry for each of the 3 tasks"):
        new_model(weighters.Constant(np.ones(2)))
    assert weighters.Constant(np.float32(2.0)).get_config()["weights"] == 2.0
    preference = weighters.Tchebycheff(preference=np.array([1.0, 3.0]))
    np.testing.assert_allclose(preference(losses=[1.0, 1.0]), [0.0, 2.0])
