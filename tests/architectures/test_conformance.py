"""Every architecture passes the public suite; wrong encoders do not."""

import keras
import numpy as np
import pytest

from keras_mtl import architectures
from keras_mtl.architectures import (
    MTAN,
    PLE,
    CrossStitch,
    Level,
    MMoE,
    SelectGate,
    SharedPrivate,
    SoftmaxGate,
    TaskEncoder,
    TaskFiLM,
    TaskLoRA,
)
from keras_mtl.testing import ConformanceError, check_architecture
from keras_mtl.testing.check_architecture import ARCHITECTURE_CHECKS

X = np.random.default_rng(3).normal(size=(6, 4)).astype("float32")


def dense(units=3):
    return keras.layers.Dense(units, "tanh")


def mlp():
    return keras.Sequential([dense(4), dense(3)])


def level(tasks, num_shared=1):
    return Level(dense(), {t: 1 + (t == "b") for t in tasks}, num_shared)


GOOD = {
    "mmoe": lambda tasks: MMoE(tasks, dense(), 3),
    "mmoe of deep experts": lambda tasks: MMoE(
        tasks, mlp(), 2, SoftmaxGate([3], temperature=2.0), bottom=dense(5)
    ),
    "mmoe by selection": lambda tasks: MMoE(tasks, dense(), 4, SelectGate()),
    "cgc": lambda tasks: PLE(tasks, [level(tasks)]),
    "ple": lambda tasks: PLE(tasks, [level(tasks)] * 2),
    "adatt": lambda tasks: PLE(tasks, [level(tasks)] * 2, residual=True),
    "stem": lambda tasks: PLE(
        tasks, [level(tasks)] * 2, stop_gradient_others=True
    ),
    "cross_stitch": lambda tasks: CrossStitch(tasks, [dense(), dense()]),
    "cross_stitch to the end": lambda tasks: CrossStitch(
        tasks, [dense(), dense()], per_channel=False, rate=3.0, last=True
    ),
    "mtan": lambda tasks: MTAN(
        tasks,
        [(dense(4), dense(3)), (dense(), dense())],
        [dense()],
        normalise=False,
    ),
    "film": lambda tasks: TaskFiLM(layer=dense()),
    "lora": lambda tasks: TaskLoRA(tasks, dense(), 3, rank=2),
    "shared_private": lambda tasks: SharedPrivate(
        dense(), {task: dense() for task in tasks}, difference_weight=0.0
    ),
}
# Three of them are variants of one that is here with all checks.
LIKE = dict.fromkeys(["replicas", "weighters"], "its gates alone differ")
PAIRS = {"cost": "each pair of tasks has something of its own"}
SKIPPED = {
    "mtan": {"cut": "layers between blocks serve all tasks above the cut"},
    "adatt": LIKE,
    "stem": LIKE | PAIRS,
    "cross_stitch": PAIRS,
    "cross_stitch to the end": LIKE | PAIRS,
}
# Of one layer on the inputs.
ALONE = {"mmoe": dense, "mmoe by selection": dense, "cgc": dense}


@pytest.mark.slow
@pytest.mark.parametrize("name", GOOD)
def test_every_architecture_conforms(name):
    check_architecture(
        GOOD[name], X, skip=SKIPPED.get(name), expert=ALONE.get(name)
    )


def test_every_architecture_of_the_catalogue_is_checked():
    assert set(architectures.CATALOGUE) <= set(GOOD)


class Bottom(TaskEncoder):
    """A shared layer, and one of each task."""

    def __init__(self, task_names, **kwargs):
        super().__init__(task_names, **kwargs)
        self.bottom = dense()
        for task in task_names:
            setattr(self, f"tower_{task}", dense())

    def shared(self, inputs):
        return self.bottom(inputs)

    def own(self, task, cut, inputs):
        return getattr(self, f"tower_{task}")(cut)

    def get_config(self):
        return {**super().get_config(), "task_names": list(self.task_names)}


@keras.saving.register_keras_serializable(package="tests")
class Sound(Bottom):
    """Nothing wrong with it; one weight is the encoder's own."""

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", initializer="ones")
        super().build(input_shape)

    def shared(self, inputs):
        return self.scale * self.bottom(inputs)


@keras.saving.register_keras_serializable(package="tests")
class Leaks(Bottom):
    """Tasks share a layer above the cut."""

    def shared(self, inputs):
        return inputs

    def own(self, task, cut, inputs):
        return super().own(task, self.bottom(cut), inputs)


@keras.saving.register_keras_serializable(package="tests")
class Positional(Bottom):
    """Towers are saved by position."""

    def __init__(self, task_names, **kwargs):
        TaskEncoder.__init__(self, task_names, **kwargs)
        self.bottom = dense()
        self.towers = [dense() for _ in task_names]

    def own(self, task, cut, inputs):
        return self.towers[self.task_names.index(task)](cut)


@keras.saving.register_keras_serializable(package="tests")
class EqualStart(Bottom):
    """Every tower starts with the same kernel."""

    def __init__(self, task_names, **kwargs):
        super().__init__(task_names, **kwargs)
        for task in task_names:
            start = keras.initializers.GlorotUniform(seed=3)
            tower = keras.layers.Dense(3, kernel_initializer=start)
            setattr(self, f"tower_{task}", tower)


def one_for_all(shape, dtype=None):
    """Draws one expert's kernel, for all of them."""
    first = keras.initializers.GlorotUniform()((1, *shape[1:]), dtype)
    return keras.ops.tile(first, (shape[0], 1, 1))


@keras.saving.register_keras_serializable(package="tests")
class EqualSlices(Bottom):
    """Every expert, a slice of one variable, starts the same."""

    def build(self, input_shape):
        shape = (2, input_shape[-1], 3)
        self.kernel = self.add_weight(shape=shape, initializer=one_for_all)
        super().build(input_shape)

    def shared(self, inputs):
        return keras.ops.einsum("bd,edu->beu", inputs, self.kernel)

    def own(self, task, cut, inputs):
        return super().own(task, self.bottom(keras.ops.mean(cut, 1)), inputs)


@keras.saving.register_keras_serializable(package="tests")
class LastFirst(Bottom):
    """Rows change places, and so reach other tasks where they are joined."""

    def shared(self, inputs):
        return keras.ops.flip(super().shared(inputs), axis=0)


@keras.saving.register_keras_serializable(package="tests")
class Idle(Bottom):
    """A layer that no task reads."""

    def shared(self, inputs):
        return keras.ops.stop_gradient(self.bottom(inputs))


@keras.saving.register_keras_serializable(package="tests")
class OwnCall(Bottom):
    """No cut."""

    def call(self, inputs, training=None, apart=False):
        return {
            t: self.own(t, self.bottom(inputs), inputs) for t in self.task_names
        }


@keras.saving.register_keras_serializable(package="tests")
class Forgetful(Bottom):
    """A config without the task names."""

    def get_config(self):
        return TaskEncoder.get_config(self)


@keras.saving.register_keras_serializable(package="tests")
class FlatFan(Bottom):
    """Experts in one kernel `(D, E, U)`, drawn as of a convolution."""

    def __init__(self, task_names, **kwargs):
        super().__init__(task_names, **kwargs)
        self.bottom = keras.layers.EinsumDense("bd,deu->beu", (100, 3))

    def own(self, task, cut, inputs):
        return super().own(task, keras.ops.mean(cut, axis=1), inputs)


@keras.saving.register_keras_serializable(package="tests")
class LowGate(Bottom):
    """Weights of experts in the precision of the rest."""

    def gate_weights(self, inputs):
        hidden = self.bottom(inputs)
        return {task: keras.ops.softmax(hidden) for task in self.task_names}


@keras.saving.register_keras_serializable(package="tests")
class Squares(Bottom):
    """Every task computes what all of them have."""

    def own(self, task, cut, inputs):
        towers = [getattr(self, f"tower_{t}")(cut) for t in self.task_names]
        return sum(keras.ops.stop_gradient(tower) for tower in towers) + (
            super().own(task, cut, inputs)
        )


@keras.saving.register_keras_serializable(package="tests")
class OneByOne(Bottom):
    """`own_all` that is a loop over the tasks."""

    def own_all(self, cut, inputs):
        outputs = [self.own(task, cut, inputs) for task in self.task_names]
        return keras.ops.stack([x * 2.0 + 1.0 for x in outputs], axis=1)


BAD = {
    Leaks: "cut",
    FlatFan: "start",
    LowGate: "precision",
    Squares: "cost",
    OneByOne: "cost",
    Positional: "permutation",
    EqualStart: "start",
    EqualSlices: "start",
    LastFirst: "inputs",
    Idle: "owners",
    OwnCall: "cut",
    Forgetful: "saving",
}


def test_a_sound_encoder_passes():
    check_architecture(Sound, X)


@pytest.mark.parametrize("cls", BAD, ids=lambda cls: cls.__name__)
def test_a_wrong_encoder_is_found_out(cls):
    """By the check that it breaks; a sound encoder passes that one too."""
    others = {*ARCHITECTURE_CHECKS} - {"declaration", BAD[cls]}
    with pytest.raises(ConformanceError) as caught:
        check_architecture(
            cls, X, expert=dense, skip=dict.fromkeys(others, "not broken")
        )
    assert caught.value.checks == (BAD[cls],)


def test_what_is_left_out_has_a_reason():
    with pytest.raises(ValueError, match="must give the reason"):
        check_architecture(Sound, X, skip={"cut": ""})
    with pytest.raises(ValueError, match="mean 'saving'"):
        check_architecture(Sound, X, skip={"savin": "no"})
    with pytest.raises(ConformanceError, match="must return a keras_mtl"):
        check_architecture(lambda tasks: dense(), X)
    assert len(ARCHITECTURE_CHECKS) == 13
