"""Bad input of weighters ends before training, and says what to do."""

import functools

import pytest

from keras_mtl import weighters
from keras_mtl.weighters import Clipped, Every, Fixed, OfLogLosses, Smoothed
from tests.reference import make_model

TASKS = ["task_0", "task_1"]
OF_HEADS = (
    "{} cannot go around {}, whose heads have weights of their own that {} "
    "would not change. {}"
)

small_model = functools.cache(make_model)  # What is refused leaves no trace.


def make(name, **arguments):
    return lambda: weighters.make(name, **arguments)


def unknown_preference(name):
    given = {"task_0": 1.0, "task_9": 2.0}
    return make(name, preference=given), (
        f"Argument `preference` must name the model's tasks {TASKS}. "
        f"Received: preference={given}"
    )


def unknown_primary(name):
    return make(name, primary="tsk_1"), (
        f"Argument `primary` must be one of the tasks {TASKS}. "
        "Received: primary='tsk_1'. Did you mean 'task_1'?"
    )


def zero_temperature(name, argument="temperature"):
    return make(name, **{argument: 0}), (
        f"Argument `{argument}` must be greater than 0. Received: {argument}=0"
    )


def around_grad_drop(name):
    arguments = {"fixed": {"fixed": [1.0, None]}, "clipped": {"highest": 2.0}}
    outer = weighters.WRAPPERS[name].__name__
    return make(name, weighter="grad_drop", **arguments.get(name, {})), (
        f"{outer} changes one weight for each task, and GradDrop has more. Use "
        f"GradDrop without {outer}, or choose another weighter."
    )


def copies_of_auto(name):
    momentum = {"momentum": 0.9} if name == "db_mtl" else {}
    return make(name, scope="auto", **momentum), (
        f"{weighters.CATALOGUE[name].__name__} keeps a copy of the variables "
        "of its scope for each task: argument `scope` must say which. "
        "Received: scope='auto'. Pass scope='last_shared_layer', "
        "scope='representation' for shared inputs, or scope='shared' with "
        "large=True if you have the memory."
    )


NOTHING_LEFT = (
    "Argument `fixed` gives the weight of every task, which leaves the "
    "weighter nothing to learn. Received: fixed={}. Leave a task out, or use "
    "Constant(weights=...)."
)
CASES = [
    *map(
        unknown_preference,
        ["upgrad", "dual_proj", "config", "aligned_mtl", "tchebycheff"],
    ),
    *map(unknown_preference, ["cosmos", "pbi"]),
    *map(
        unknown_primary,
        ["pcd", "gradient_similarity", "meta_balance", "auto_lambda"],
    ),
    *map(zero_temperature, ["dwa", "uwso", "relobralo"]),
    zero_temperature("stch", "smoothing"),
    zero_temperature("softadapt", "sharpness"),
    *map(around_grad_drop, weighters.WRAPPERS),
    *map(copies_of_auto, ["excess_mtl", "moco", "db_mtl"]),
    (
        lambda: Fixed("slaw", [1.0, 2.0]),
        NOTHING_LEFT.format("[1.0, 2.0]"),
    ),
    (
        lambda: Fixed("slaw", dict.fromkeys(TASKS, 1.0)),
        NOTHING_LEFT.format("{'task_0': 1.0, 'task_1': 1.0}"),
    ),
    (
        lambda: Fixed(Every(Fixed("slaw", {"task_0": 2.0})), [None, 0.5]),
        "Argument `fixed` gives the weight of every task, together with the "
        "Fixed inside, which leaves the weighter nothing to learn. Received: "
        "fixed=[None, 0.5] and {'task_0': 2.0}. Leave a task out, or use "
        "Constant(weights=...).",
    ),
    (
        lambda: Fixed("slaw", 1.0),
        "Argument `fixed` must be a dict from task name to weight, or a list "
        "with None for the tasks that are not fixed. Received: fixed=1.0",
    ),
    (
        lambda: Fixed(Smoothed(OfLogLosses("mgda")), {"task_0": 1.0}),
        OF_HEADS.format(
            "Fixed",
            "OfLogLosses",
            "Fixed",
            "Put it inside: OfLogLosses(Fixed(...)).",
        ),
    ),
    (
        lambda: Clipped(Smoothed("db_mtl"), highest=2.0),
        OF_HEADS.format(
            "Clipped", "DBMTL", "Clipped", "Choose another weighter."
        ),
    ),
    (
        lambda: OfLogLosses(OfLogLosses("mgda")),
        OF_HEADS.format(
            "OfLogLosses",
            "OfLogLosses",
            "OfLogLosses",
            "Use one OfLogLosses only.",
        ),
    ),
    (
        lambda: Every(Every("mgda", steps=2), steps=3),
        "Every cannot go around another Every. Multiply the two numbers of "
        "steps. Received: 3 and 2",
    ),
]


@pytest.mark.parametrize(("weighter", "message"), CASES)
def test_refused_when_made_or_compiled(weighter, message):
    model = small_model(2)
    with pytest.raises(ValueError) as error:
        model.compile("sgd", "mse", weighter=weighter())
    assert str(error.value) == message


@pytest.mark.parametrize("primary", ["task_0", 0, None])
@pytest.mark.parametrize(
    "name", ["pcd", "gradient_similarity", "meta_balance", "auto_lambda"]
)
def test_a_main_task_without_others(name, primary):
    if name == "auto_lambda" and primary is None:
        return  # All tasks are main ones.
    model, weighter = small_model(1), weighters.make(name, primary=primary)
    with pytest.raises(ValueError) as error:
        model.compile("sgd", "mse", weighter=weighter)
    assert str(error.value) == (
        f"{type(weighter).__name__}(primary={primary!r}) trains a task with "
        "the help of others, and there are none. Expected: two tasks or more. "
        "Received: ['task_0']. Add an auxiliary task, or use "
        "weighter='uniform'."
    )
