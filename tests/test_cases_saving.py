"""Cases of users: models that were saved, and could not be loaded."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_mtl import MultiTaskModel
from keras_mtl.architectures import TaskEncoder
from tests.tied import Tied

pytestmark = pytest.mark.filterwarnings(
    # Keras hands its variables to NumPy in a way that NumPy 2 deprecates.
    "ignore:__array__ implementation:DeprecationWarning",
    # Containers of layers that it has loaded by another path.
    "ignore:Skipping nested container:UserWarning",
)


def functional(units, *parts):
    inputs = outputs = keras.Input((units,))
    for part in parts:
        outputs = part(outputs)
    return keras.Model(inputs, outputs)


def sequential_heads():
    neck, dense = layers.Dense(3, "tanh"), layers.Dense
    return {t: keras.Sequential([neck, dense(1)]) for t in ("b", "a")}


def functional_heads():
    neck, dense = layers.Dense(3, "tanh"), layers.Dense
    return {t: functional(4, neck, dense(1)) for t in ("b", "a")}


def head_of_the_encoder():
    again = layers.Dense(4, "tanh")
    heads = {"b": functional(4, again, layers.Dense(1)), "a": layers.Dense(1)}
    return MultiTaskModel(functional(4, again), heads)


def tied_head():
    table = layers.Embedding(6, 4)
    pooled = layers.GlobalAveragePooling1D()
    encoder = functional(4, table, pooled, layers.Dense(4, "tanh"))
    return MultiTaskModel(encoder, {"b": Tied(table), "a": layers.Dense(1)})


def on_an_encoder(make_heads):
    encoder = functional(4, layers.Dense(4, "tanh"))
    return MultiTaskModel(encoder, make_heads())


# By the number of variables, counted by hand, that encoder and heads hold.
SHARING = {
    "sequential": (lambda: on_an_encoder(sequential_heads), 8),
    "functional": (lambda: on_an_encoder(functional_heads), 8),
    "one head": (
        lambda: on_an_encoder(lambda: dict.fromkeys("ba", layers.Dense(1))),
        4,
    ),
    "encoder's": (head_of_the_encoder, 6),
    "tied": (tied_head, 5),
}


def trained(make):
    model = make()
    # Whole numbers, which are words as well.
    x = np.random.default_rng(0).integers(0, 6, (6, 4)).astype("float32")
    y = {task: np.ones_like(p) for task, p in by_name(model, x).items()}
    model.compile("adam", "mse", weighter="slaw", jit_compile=False)
    model.train_on_batch(x, y)
    return model, x, y


def by_name(model, x):
    return {t: np.array(p) for t, p in model(x, training=False).items()}


@pytest.mark.parametrize("name", SHARING)
def test_shared_layers_are_shared_after_loading(tmp_path, name):
    """Loaded twice over, training goes on bit for bit."""
    make, number = SHARING[name]
    model, x, y = trained(make)
    predicted = by_name(model, x)
    copy = model
    for generation in range(2):
        path = tmp_path / f"{generation}.keras"
        copy.save(path)
        copy = keras.models.load_model(path)
        np.testing.assert_equal(by_name(copy, x), predicted)
    assert len(copy.trainable_variables) == number
    clone = keras.models.clone_model(model)
    clone(x)
    assert len(clone.trainable_variables) == number

    path = tmp_path / "run.weights.h5"
    model.save_weights(path)
    checkpoint = tf.train.Checkpoint(model).save(str(tmp_path / "run"))
    others = [trained(make)[0] for _ in range(2)]
    others[0].load_weights(path)
    tf.train.Checkpoint(others[1]).restore(checkpoint).assert_consumed()
    for other in (copy, *others):
        np.testing.assert_equal(by_name(other, x), predicted)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    for task, received in served.serve(x).items():
        np.testing.assert_allclose(received, predicted[task], rtol=1e-5)

    model.train_on_batch(x, y)
    expected = by_name(model, x)
    for other in (copy, *others):
        other.train_on_batch(x, y)
        np.testing.assert_equal(by_name(other, x), expected)


@keras.saving.register_keras_serializable("tests")
class Stems(TaskEncoder):
    """Inputs of four and of two features, and a trunk for both."""

    def __init__(self, task_names, **kwargs):
        super().__init__(task_names, **kwargs)
        self.bottom = layers.Dense(5, "tanh")
        for task in task_names:
            setattr(self, f"stem_{task}", layers.Dense(3, "tanh"))

    def stem(self, task, inputs):
        return getattr(self, f"stem_{task}")(inputs)

    def shared(self, inputs):
        return self.bottom(inputs)

    def own(self, task, cut, inputs):
        return cut

    def get_config(self):
        return {**super().get_config(), "task_names": self.task_names}


@pytest.mark.filterwarnings("error:.*build:UserWarning")
def test_inputs_of_different_kinds_are_saved(tmp_path):
    rng = np.random.default_rng(0)
    widths = {"a": 4, "b": 2}
    x = {
        t: rng.normal(size=(64, n)).astype("float32") for t, n in widths.items()
    }
    y = {t: rng.normal(size=(64, 1)).astype("float32") for t in widths}
    heads = {task: layers.Dense(1) for task in widths}
    model = MultiTaskModel(Stems(("a", "b")), heads)
    model.compile("adam", "mse", weighter="pcgrad", jit_compile=False)
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    shapes = {t: spec.shape for t, spec in loaded.input_structure.items()}
    assert shapes == {"a": (None, 4), "b": (None, 2)}
    np.testing.assert_equal(by_name(loaded, x), by_name(model, x))
    for each in (model, loaded):
        each.train_on_batch(x, y)
    expected = by_name(model, x)
    np.testing.assert_equal(by_name(loaded, x), expected)

    loaded.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    for task, received in served.serve(x).items():
        np.testing.assert_allclose(received, expected[task], rtol=1e-5)
    for task in widths:
        received = served.signatures[task](**{t: x[t] for t in x})[task]
        np.testing.assert_allclose(received, expected[task], rtol=1e-5)
