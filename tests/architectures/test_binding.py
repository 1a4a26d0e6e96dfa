"""Names of tasks that an encoder takes from the heads of its model."""

import json

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, architectures
from keras_mtl.architectures import (
    MTAN,
    PLE,
    CrossStitch,
    Level,
    MMoE,
    TaskDiscriminator,
    TaskEncoder,
    TaskFiLM,
    TaskLoRA,
)
from keras_mtl.layers import StackedHeads

TASKS = ("b", "a", "b_a")
X = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")


def dense(units=3, seed=None):
    start = keras.initializers.GlorotUniform(seed)
    return keras.layers.Dense(units, "tanh", kernel_initializer=start)


@keras.saving.register_keras_serializable(package="tests.binding")
class Towers(TaskEncoder):
    """What a user writes whose names may be left out."""

    def __init__(self, task_names=None, units=3, **kwargs):
        super().__init__(task_names, **kwargs)
        self.units = units

    def task_layers(self, task_names):
        return {f"tower_{task}": dense(self.units) for task in task_names}

    def shared(self, inputs):
        return inputs

    def own(self, task, cut, inputs):
        return getattr(self, f"tower_{task}")(cut)

    def get_config(self):
        own = {"task_names": self.task_names, "units": self.units}
        return {**super().get_config(), **own}


def ple(**arguments):
    return PLE(levels=[Level(dense(seed=1), 2, 1)] * 2, **arguments)


MAKE = {
    "mmoe": lambda **k: architectures.get(
        "mmoe", expert=dense(seed=1), num_experts=2, **k
    ),
    "mmoe that selects": lambda **k: MMoE(
        expert=keras.Sequential([dense(), dense()]),
        num_experts=4,
        gate="dselect_k",
        bottom=dense(4),
        **k,
    ),
    "ple": ple,
    "adatt": lambda **k: PLE(levels=[Level(dense())], residual=True, **k),
    "own experts": lambda **k: PLE(
        levels=[Level(dense(), {"a": 1, "b": 2, "b_a": 0}, 1)], **k
    ),
    "cross_stitch": lambda **k: CrossStitch(
        blocks=[dense(seed=1), dense()], same_task=0.7, **k
    ),
    "towers of one's own": lambda **k: CrossStitch(
        blocks={task: [dense(), dense(seed=2)] for task in TASKS},
        last=True,
        bottom=dense(),
        **k,
    ),
    "mtan": lambda **k: MTAN(
        blocks=[(dense(), dense(4)), (dense(), dense())], between=[dense()], **k
    ),
    "film": lambda **k: TaskFiLM(layer=dense(), **k),
    "lora": lambda **k: TaskLoRA(layer=dense(), units=3, rank=2, **k),
    "a user's": lambda **k: Towers(units=2, **k),
}


def model_of(make, heads, **names):
    keras.utils.clear_session()
    keras.utils.set_random_seed(7)
    heads = heads()
    encoder = make(name="encoder", **names)
    assert encoder.task_names == (names.get("task_names"))
    model = MultiTaskModel(encoder, heads)
    return model, model(X)


def named():
    return {task: keras.layers.Dense(1, name=task) for task in TASKS}


def same(received, expected):
    received, expected = map(keras.tree.flatten, (received, expected))
    for mine, theirs in zip(received, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_names_of_the_heads_are_names_given(make, tmp_path):
    """To the variable and its initial value, saved or not."""
    for heads in (lambda: StackedHeads(TASKS), named):
        given, expected = model_of(make, heads, task_names=TASKS)
        bound, received = model_of(make, heads)
        assert bound.encoder.task_names == TASKS
        assert bound.encoder.get_config() == given.encoder.get_config()
        assert bound.get_config() == given.get_config()
        assert [w.path for w in bound.weights] == [
            w.path for w in given.weights
        ]
        same(bound.weights, given.weights)
        clone = keras.models.clone_model(bound)
        assert clone.encoder.get_config() == bound.encoder.get_config()
        same(received, expected)
    # In another order, and with other values.
    other = MultiTaskModel(make(), dict(sorted(named().items())))
    other(X)
    assert other.encoder.task_names == tuple(sorted(TASKS))
    given.save_weights(tmp_path / "given.weights.h5")
    other.load_weights(tmp_path / "given.weights.h5")
    found = other(X)
    for task in TASKS:
        np.testing.assert_allclose(found[task], expected[task], rtol=1e-5)
    bound.save(tmp_path / "bound.keras")
    loaded = keras.models.load_model(tmp_path / "bound.keras")
    assert loaded.encoder.task_names == TASKS
    same(loaded(X), expected)


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_an_encoder_without_tasks(make):
    """It can be copied, also for other tasks, but not used."""
    encoder = make()
    config = json.loads(json.dumps(architectures.serialize(encoder)))
    assert config["config"]["task_names"] is None
    again = architectures.deserialize(config)
    assert again.task_names is None
    assert again.get_config() == encoder.get_config()
    clone = type(encoder).from_config(encoder.get_config())
    unknown = "does not know its tasks yet.*task_names=.*MultiTaskModel"
    uses = [
        lambda: encoder(X),
        lambda: encoder.build(X.shape),
        lambda: encoder.by_task(X),
        encoder.stack,
        lambda: keras.Sequential([encoder])(X),
    ]
    if hasattr(encoder, "gate_weights"):
        uses.append(lambda: encoder.gate_weights(X))
    if isinstance(encoder, PLE):
        uses += [encoder.expert_names, lambda: encoder.can_stack]
    if isinstance(encoder, CrossStitch):
        uses.append(encoder.stitches)
    for use in uses:
        with pytest.raises(ValueError, match=unknown):
            use()
    assert not encoder.built
    assert encoder.task_names is None
    for free in (encoder, clone, again):
        free.bind(TASKS)
        free.bind(TASKS[::-1])  # Nothing new.
        free.bind(None)
        assert free.task_names == TASKS
        assert set(free(X)) == set(TASKS)
        with pytest.raises(ValueError) as error:
            free.bind(["a", "c"])
        kind = type(encoder).__name__
        assert str(error.value) == (
            f"{kind} has other tasks than the model. Expected: ['a', 'c']. "
            f"Received: ['b', 'a', 'b_a']. Make a new {kind}."
        )


def heads(*tasks):
    return {task: keras.layers.Dense(1) for task in tasks}


def models_of_one(*tasks):
    """Makes a model of one encoder for each list of tasks."""
    encoder = MMoE(expert=dense(), num_experts=2)
    for names in tasks:
        MultiTaskModel(encoder, heads(*names))


def built():
    TaskDiscriminator().build((None, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: models_of_one("ab", "ba", "bc"),
            r"MMoE has other tasks.*\['b', 'c'\].*\['a', 'b'\]\. Make a new M",
        ),
        (MMoE, r"`expert` must be a Keras layer or model.*expert=None"),
        (lambda: MMoE(dense()), r"`task_names` must be a list.*=<Dense"),
        (PLE, r"`levels` must be a list of at least one"),
        (CrossStitch, "at least one. Received: 0"),
        (lambda: CrossStitch(blocks={}), r"at least one. Received: \{\}"),
        (MTAN, r"`blocks` must be a list of pairs.*at least one"),
        (TaskFiLM, r"`layer` must be a Keras layer or model.*layer=None"),
        (lambda: TaskLoRA(layer=dense()), "`units` must be an integer"),
        (lambda: ple().bind("ab"), "`task_names` must be a list with at"),
        (lambda: architectures.get("lora"), "`layer` must be a Keras layer"),
        (built, "TaskDiscriminator does not know its tasks yet"),
    ],
)
def test_what_is_missing_or_of_another_model(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_does_not_fit_the_heads_can_go_to_others():
    """Checks that need the names happen with them, and change nothing."""
    counts = {"a": 1, "b": 2}
    for make, message in (
        (
            lambda: PLE(levels=[Level(dense(), counts)]),
            "`num_own` names 'b', which is no task",
        ),
        (
            lambda: CrossStitch(blocks={task: [dense()] for task in counts}),
            "`blocks` must have a list for each task.*Tasks: .'a', 'c'.",
        ),
    ):
        encoder = make()
        with pytest.raises(ValueError, match=message):
            MultiTaskModel(encoder, heads("a", "c"))
        assert encoder.task_names is None
        model = MultiTaskModel(encoder, heads("b", "a"))
        assert set(model(X)) == set(counts)
    encoder = MMoE(expert=dense(), num_experts=3, gate="dselect_k")
    with pytest.raises(ValueError, match=r"power of 2\. Received: 3"):
        MultiTaskModel(encoder, heads("a", "b"))
