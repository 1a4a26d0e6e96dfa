"""Architectures by name, and arguments that they refuse."""

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, architectures, compat
from keras_mtl.architectures import (
    MTAN,
    PLE,
    CrossStitch,
    Level,
    MMoE,
    SoftmaxGate,
    TaskFiLM,
)
from keras_mtl.architectures.joined_level import mixture_of_parts
from keras_mtl.layers import StackedHeads

T = ("click", "click_buy", "like")


def dense(units=3, activation="tanh", **kwargs):
    return keras.layers.Dense(units, activation, **kwargs)


def test_architectures_by_name():
    expert = dense()
    encoder = architectures.get("mmoe", task_names=T, expert=expert)
    assert isinstance(encoder, MMoE)
    again = architectures.get(architectures.serialize(encoder))
    assert again.get_config()["num_experts"] == 8
    assert architectures.get(encoder) is encoder
    with pytest.raises(ValueError, match="Did you mean 'mmoe'"):
        architectures.get("mmoo")
    with pytest.raises(ValueError, match=r"'shared_private' does not take"):
        architectures.get("shared_private", task_names=T)
    with pytest.raises(ValueError, match="has its own"):
        architectures.get(encoder, num_experts=2)
    for nothing in (None, dense(), MMoE):
        with pytest.raises(ValueError, match="a name, a config dict or"):
            architectures.get(nothing)


@pytest.mark.parametrize("name", ["mmoe", "MMoE"])
def test_architectures_of_short_configs(name):
    """As weighters; the dict is as it was, and can be read once more."""
    arguments = {"task_names": list(T), "expert": dense(), "num_experts": 2}
    config = {"class_name": name, "config": arguments}
    for _ in range(2):
        found = architectures.get(config).get_config()
        assert found["num_experts"] == len(arguments) - 1
    whole = architectures.serialize(architectures.get(config))
    for _ in range(2):
        again = architectures.deserialize(whole)
        assert again.get_config() == whole["config"]


X = np.ones((2, 4), "float32")
PICTURES = np.ones((1, 4, 4, 2), "float32")


def of_two(outputs):
    """Returns an expert that reads two tensors."""
    inputs = [keras.Input((4,)) for _ in range(2)]
    found = [dense()(keras.layers.Add()(inputs)) for _ in range(outputs)]
    return keras.Model(inputs, found[0] if outputs == 1 else found)


def split():
    """Returns a model that returns its inputs twice."""
    inputs = keras.Input((4,))
    return keras.Model(inputs, [inputs, inputs])


@keras.saving.register_keras_serializable(package="tests")
class Uneven(keras.layers.Layer):
    """Copy n of it has n + 1 units."""

    def call(self, inputs):
        return inputs[:, : 1 + int(self.name.rsplit("_", 1)[1])]


def heads(tasks):
    return {task: dense(1) for task in tasks}


@pytest.mark.parametrize(
    "make",
    [
        lambda: MMoE(T, dense(), 2),
        lambda: PLE(T, [Level(dense(), 1, 1)]),
        lambda: CrossStitch(T, [dense(), dense()]),
    ],
)
def test_names_that_begin_alike_are_other_tasks(make):
    """A variable of `click_buy` alone moves `click_buy` alone."""
    encoder, rng = make(), np.random.default_rng(0)
    x = rng.normal(size=(4, 5)).astype("float32")
    before = encoder(x)
    own = [v for v in encoder.variables if "click_buy" in v.path.split("/")[-2]]
    if isinstance(encoder, CrossStitch):  # Its last block.
        own = [v for v in own if "block_1" in v.path]
    assert own
    for variable in own:
        variable.assign(variable + rng.normal(size=variable.shape))
    after = encoder(x)
    for task in T:
        same = np.allclose(before[task], after[task], rtol=1e-6)
        assert same == (task != "click_buy")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: MMoE(T, dense(kernel_initializer="zeros")),
            r"would start equal.*`kernel_initializer` is Zeros\. Pass a random",
        ),
        (lambda: MMoE(T, "dense"), "`expert` must be a Keras layer"),
        (lambda: MMoE(T, dense(), 0), "`num_experts` must be at least 1"),
        (lambda: MMoE(T, dense(), gate="soft"), "`gate` must be one of"),
        (
            lambda: MMoE(T, dense(), 6, gate="dselect_k"),
            r"power of 2\. Received: 6 experts\. Take 4 or 8",
        ),
        (lambda: SoftmaxGate(temperature=0.0), "`temperature` must be greater"),
        (lambda: PLE(T, []), "`levels` must be a list of at least one"),
        (
            lambda: PLE(T, [Level(dense(), 0, 0)]),
            r"Task 'click' has no expert in level 0",
        ),
        (
            lambda: PLE(T, [Level(dense(), {"click": 1})]),
            r"no number for the tasks \['click_buy', 'like'\]",
        ),
        (
            lambda: PLE(T, [Level(dense(), 1, 0), Level(dense(), 1, 1)]),
            r"level 0 has none whose stream",
        ),
        (lambda: CrossStitch(T, []), "the same number of blocks"),
        (lambda: CrossStitch(T, {"like": [dense()]}), "a list for each task"),
        (lambda: CrossStitch(T, [dense()], same_task=1.5), "at most 1"),
        (lambda: MTAN(T, [dense()]), "a list of pairs"),
        (lambda: MTAN(T, [(dense(), dense())], [dense()]), "between each two"),
        (
            lambda: MMoE("click", dense()),
            "`task_names` must be a list with at least one",
        ),
        (lambda: TaskFiLM(T, None), "`layer` must be a Keras layer"),
        (
            lambda: PLE(T, [Level(dense(kernel_initializer="ones"), 2, 1)]),
            r"would start equal.*`kernel_initializer` is Ones",
        ),
        (
            lambda: CrossStitch(
                T, {t: [dense(u), dense()] for u, t in enumerate(T, start=3)}
            )(np.ones((2, 4))),
            r"outputs of one shape in all towers.*\(None|2, 3\)",
        ),
        (
            lambda: PLE(T, [Level(dense(), 2, 1)], gate="dselect_k"),
            r"Task 'click' reads 3 experts in level 0\. .*power of 2",
        ),
        (
            lambda: MMoE(T, dense(), 1, gate="dselect_k"),
            r"1 experts\. Take 2\.",
        ),
        (
            lambda: MMoE(
                T,
                dense(
                    kernel_initializer=keras.initializers.Constant(
                        np.ones((5, 3))
                    )
                ),
            ),
            r"would start equal.*`kernel_initializer` is Constant",
        ),
        (
            lambda: MMoE(T, dense(), 2)({"u": X, "v": X}),
            r"Dense layers read one tensor.*'u'.*Pass bottom=",
        ),
        (
            lambda: MMoE(T, of_two(1), 2)([X, X]),
            r"structure \[\(2, 4\), \(2, 4\)\]\. Pass bottom",
        ),
        (
            lambda: MMoE(T, of_two(2), 2, bottom=split())(X),
            r"An expert must return one tensor.*Received: 2 outputs",
        ),
        (
            lambda: MMoE(T, Uneven(), 2)(X),
            r"one shape.*Received: \[\(2, 1\), \(2, 2\)\]\. Pass an expert",
        ),
        (
            lambda: mixture_of_parts(X, [X[:, :2, None], X[:, 2:, None, None]]),
            r"one shape.*Received: \[\(1,\), \(1, 1\)\]\. Pass an expert",
        ),
        (lambda: Level(keras.layers.Dense), "`expert` must be a Keras layer"),
        (
            lambda: MultiTaskModel(PLE(T, [Level(dense())]), StackedHeads(T))(
                PICTURES
            ),
            r"\(B, D\)\. Received: the shape \(1, 4, 4, 2\)\. Pass bottom=",
        ),
        (lambda: MMoE(T, dense(), bottom="x"), "`bottom` must be a Keras"),
        (
            lambda: PLE(T, [Level(dense(), 1, 1)], bottom=3),
            "`bottom` must be a Keras layer",
        ),
        (lambda: SoftmaxGate(hidden=3), "`hidden` must be a list of integers"),
        (lambda: CrossStitch(T, [3]), "`blocks` must be a Keras layer"),
        (lambda: CrossStitch(T, dense()), "`blocks` must be a list of layers"),
        (lambda: MTAN(T, [(dense(), 3)]), "`blocks` must be a Keras layer"),
        (
            lambda: MTAN(T, [(dense(), dense())] * 2, [None]),
            "`between` must be a Keras layer",
        ),
        (
            lambda: MTAN(T, [(dense(), dense())], hidden=0),
            "`hidden` must be at least 1",
        ),
        (
            lambda: MTAN(T, [(dense(), keras.layers.MaxPooling2D())])(PICTURES),
            r"In block 0, .*places \(2, 2\).* first part returns \(4, 4\)",
        ),
        (
            lambda: MTAN(
                T,
                [(dense(), dense()), (keras.layers.MaxPooling2D(), dense())],
                [dense()],
            )(PICTURES),
            r"In block 1, what between\[0\] returns has the places \(4, 4\)",
        ),
        (lambda: MMoE("ab", dense()), "`task_names` must be a list with at"),
        (lambda: TaskFiLM([], dense()), "`task_names` must be a list with at"),
        (lambda: MMoE(["a", "a"], dense()), r"twice: \['a'\]"),
        (lambda: MMoE(["a/b"], dense()), "without '/'"),
        (
            lambda: architectures.get({"class_name": "MMoE", "config": {}}),
            r"`expert` must be a Keras layer or model\. Received: expert=None",
        ),
        (
            lambda: MultiTaskModel(MMoE(T, dense()), heads(T[:2])),
            r"'like' has a representation but the model has no head",
        ),
        (
            lambda: MultiTaskModel(MMoE(T[:2], dense()), heads(T)),
            r"heads for the tasks \['like'\], which have no representation",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_copies_are_separate_where_keras_shares_objects():
    """As while Keras serializes or loads a model that holds the encoder."""
    with compat.ObjectSharingScope():
        expert = keras.layers.Dense(3)
        keras.saving.serialize_keras_object(expert)
        encoder = MMoE(["a", "b"], expert, 2)
        encoder(np.ones((2, 4), "float32"))
    first, second = encoder.variables[0].numpy()[:2]
    assert not np.array_equal(first, second)


def test_what_a_stack_cannot_express_is_computed_one_by_one():
    """A frozen expert has nothing to train; other precisions stay theirs."""
    encoder = MMoE(T, dense(trainable=False), 2)
    encoder(X)
    assert not encoder.experts.trainable_variables
    encoder = MMoE(T, dense(dtype="float16"), 2)
    assert encoder(X)["like"].dtype == "float16"
    assert encoder.gate_weights(X)["like"].dtype == "float32"
    regularizer = keras.regularizers.OrthogonalRegularizer(0.1)
    encoder = MMoE(T, dense(kernel_regularizer=regularizer), 3)
    encoder(X)
    kernels = [w for w in encoder.experts.weights if w.name == "kernel"]
    expected = sum(float(regularizer(kernel)) for kernel in kernels)
    assert float(sum(encoder.losses)) == pytest.approx(expected, rel=1e-5)
