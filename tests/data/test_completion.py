"""Batches made in Python whose tasks change from one to the next."""

import itertools

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel
from keras_mtl.data.completion import Completion

RNG = np.random.default_rng(0)
ROWS = 6
X = RNG.normal(size=(ROWS, 4)).astype("float32")
Y = {
    "a": RNG.normal(size=(ROWS, 1)).astype("float32"),
    "b": RNG.normal(size=(ROWS, 2)).astype("float32"),
}


class Alternating(keras.utils.PyDataset):
    """Labels of `a` in even batches and of `b` in odd ones; counts reads."""

    num_batches = 4

    def __init__(self, separate=False, **kwargs):
        super().__init__(**kwargs)
        self.separate, self.read, self.epochs = separate, [], 0

    def __getitem__(self, number):
        self.read.append(number)
        task = "ab"[number % 2]
        return ({task: X} if self.separate else X), {task: Y[task]}

    def on_epoch_end(self):
        self.epochs += 1


def generator(separate):
    batches = Alternating(separate)
    for number in itertools.count():
        yield batches[number % 4]


class OnDevice:
    """A tensor of PyTorch: an array once it is fetched."""

    def __init__(self, array):
        self.cpu = lambda: array


class DataLoader:
    """Stands in for PyTorch's, which Keras knows by its name."""

    __module__ = "torch.utils.data.dataloader"
    dataset = range(4)

    def __init__(self, separate):
        self.separate = separate

    def __len__(self):
        return 4

    def __iter__(self):
        for number in range(4):
            batch = Alternating(self.separate)[number]
            yield list(keras.tree.map_structure(OnDevice, batch))


class IterDataset(DataLoader):
    """Stands in for a data set of grain."""

    __module__ = "grain.python"

    def __iter__(self):
        yield from map(Alternating(self.separate).__getitem__, range(4))


def new_model():
    keras.utils.set_random_seed(0)
    heads = {"a": keras.layers.Dense(1), "b": keras.layers.Dense(2)}
    model = MultiTaskModel(keras.layers.Dense(5, "tanh"), heads)
    model.compile(
        "sgd", "mse", metrics=["mae"], weighter="slaw", jit_compile=False
    )
    return model


@pytest.mark.parametrize("separate", [False, True])
def test_trains_as_batch_by_batch(separate):
    """Each batch on its own, where nothing is filled in, is the reference."""
    expected = new_model()
    for _ in range(4):
        for task in "ab":
            x = {task: X} if separate else X
            expected.train_on_batch(x, {task: Y[task]})
    logs = expected.evaluate(
        {t: X for t in Y} if separate else X, Y, verbose=0, return_dict=True
    )
    batches = Alternating(separate, workers=1 + separate)
    sources = [(batches, {}), (DataLoader(separate), {})]
    if not separate:
        sources.append((generator(separate), {"steps_per_epoch": 4}))
    for source, more in sources:
        model = new_model()
        validation = generator(separate) if more else IterDataset(separate)
        history = model.fit(
            source,
            None,
            **{**more, "epochs": 2, "shuffle": False, "verbose": 0},
            validation_data=validation,
            validation_steps=4,
        ).history
        for mine, other in zip(
            model.trainable_variables, expected.trainable_variables, strict=True
        ):
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)
        assert model.task_weights == pytest.approx(expected.task_weights)
        for name, value in logs.items():
            assert history[f"val_{name}"][1] == pytest.approx(value, rel=1e-4)
    for again in (Alternating(separate), DataLoader(separate)):
        again = model.evaluate(again, verbose=0, return_dict=True)
        assert again == pytest.approx(logs, rel=1e-4)
    assert batches.epochs == 3  # Keras: once more, as it resets.
    if not separate:
        # As often as Keras reads: two batches for the shapes, then epochs.
        assert batches.read == [0, 1, *range(4), *range(4)]


def test_every_batch_gets_the_structure_of_all():
    """Labels that are given stay; others are zeros, and their weights too."""
    names = ("a", "b", "det")
    det = {"box": RNG.normal(size=(ROWS, 4)), "kind": np.arange(ROWS)}
    whole = {**Y, "det": det}
    half = np.linspace(0.0, 1.0, ROWS)
    batches = [
        (X, {"a": Y["a"], "det": {"box": det["box"]}}, None),
        (X, {"b": Y["b"], "det": {"kind": det["kind"]}}, {"b": half}),
    ]
    complete = Completion(names, batches, separate=False)
    for tasks in [("a",), ("b",), ("a", "b"), ("det",), names]:
        given = {task: whole[task] for task in tasks}
        x, y, weights = complete(
            (X, given, {"b": half} if "b" in given else None)
        )
        assert x is X
        keras.tree.assert_same_structure(y, whole)
        keras.tree.assert_same_structure(weights, whole)
        for task, nested in y.items():
            known = task in tasks
            pairs = zip(
                *map(keras.tree.flatten, (nested, whole[task], weights[task])),
                strict=True,
            )
            for label, full, weight in pairs:
                assert label.dtype == full.dtype
                np.testing.assert_array_equal(label, full * known)
                own = half if task == "b" else np.ones(ROWS)
                np.testing.assert_array_equal(weight, own * known)
    # Tasks that none of the first batches lacks are left without weights.
    plain = Completion(names, [(X, Y, None), (X, Y, {"a": half})], False)
    _, _, weights = plain((X, Y))
    assert {t: w.tolist() for t, w in weights.items()} == {"a": [1.0] * ROWS}


def test_what_comes_too_late_is_named():
    complete = Completion(("a", "b"), [(X, {"a": Y["a"]}, None)], False)
    with pytest.raises(ValueError, match=r"has labels for \['b'\], and none"):
        complete((X, Y))
    complete = Completion(("a", "b"), [(X, Y, None)], False)
    with pytest.raises(ValueError, match=r"has no labels for \['b'\], and all"):
        complete((X, {"a": Y["a"]}))
    model = new_model()
    batches = ((X, Y if number < 2 else {"a": Y["a"]}) for number in range(3))
    with pytest.raises(Exception, match=r"no labels for \['b'\], and all of"):
        model.fit(batches, verbose=0)
    only = ((X, {"a": Y["a"]}) for _ in itertools.count())
    with pytest.warns(UserWarning, match=r"tasks \['b'\] have no labels in"):
        model.fit(only, steps_per_epoch=1, verbose=0)
    batches = generator(separate=False)
    with pytest.raises(ValueError, match="needs query data"):
        model.fit(batches, weighter="meta_weighting")
    assert next(batches)[1].keys() == {"a"}  # None of them was taken.
    unknown = ((X, {"c": Y["a"]}) for _ in range(3))
    with pytest.raises(ValueError, match="Task 'c' has a label but the model"):
        model.fit(unknown, verbose=0)
