"""Settings of experiments: bad numbers are told before data are read."""

import dataclasses
import typing

import pytest

from keras_mtl.lab.experiments import experiment_class, make_experiment

INTEGER = "must be an integer"
NUMBER = "must be a finite number"
FRACTION = "must lie between 0 and 1, both excluded"
# Of a setting: values, and what the error says of them.
BAD = {
    "seed": {-1: "at least 0", 0.5: INTEGER, "a": NUMBER},
    "epochs": {0: "at least 1", 1.5: INTEGER, True: INTEGER, "3": INTEGER},
    "batch_size": {0: "at least 1", 2.5: INTEGER, float("inf"): NUMBER},
    "learning_rate": {0.0: "greater than 0", float("nan"): NUMBER},
    "query_split": {
        **dict.fromkeys([0.0, -0.5, 1.0, 2.0], FRACTION),
        "a": NUMBER,
        None: NUMBER,
    },
    "validation": {0.0: FRACTION, 1.0: FRACTION, "a": NUMBER},
    "frequency": {0.0: "greater than 0", "a": NUMBER},
    "correlation": {-0.1: "between 0 and 1", 1.5: "between 0", "a": NUMBER},
    "num_train": {0: "at least", -5: "at least", 9.5: INTEGER},
    "num_test": {0: "at least 1"},
    "num_tasks": {0: "at least 1", 2.5: INTEGER},
    "num_tokens": {0: "at least 1", -4: "at least 1", 7.5: INTEGER},
    "vocabulary_size": {-1: "at least 3", 2: "at least 3", "all": NUMBER},
    "dropout": {3.0: "in the range", -0.1: "in the range", "a": NUMBER},
    "discriminator": {-1.0: "at least 0", "a": NUMBER},
    "hidden_units": {0: "at least 1", 2.5: INTEGER, "a": NUMBER},
    "label_noise": {-0.1: "between 0 and 1", 1.5: "between 0", "a": NUMBER},
    "kept_rows": {
        -0.5: "at least 0",
        0.0: "above 0 and at most 1",
        1.5: "above 0 and at most 1",
        "a": NUMBER,
    },
    "threshold": {-0.5: "in the range", 1.0: "in the range"},
}
EXPERIMENTS = ("mtregression", "topics", "sentiment", "demo", "mmoe_tasks")
NUMBERS = {
    (name, field.name)
    for name in EXPERIMENTS
    for field in dataclasses.fields(experiment_class(name))
    if {int, float} & {field.type, *typing.get_args(field.type)}
}


def test_no_number_goes_without_a_check():
    assert {setting for _, setting in NUMBERS} == set(BAD)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        (name, setting, value)
        for name, setting in sorted(NUMBERS)
        for value in BAD[setting]
    ],
)
def test_numbers_out_of_range(name, setting, value):
    with pytest.raises(ValueError) as error:
        make_experiment(name, **{setting: value})
    assert str(error.value).startswith(f"Argument `{setting}` must ")
    assert BAD[setting][value] in str(error.value)
    assert f"Received: {setting}={value!r}" in str(error.value)


def test_bert_reads_three_tokens_at_least():
    with pytest.raises(ValueError, match="`num_tokens` must be at least 3"):
        make_experiment("topics", encoder="bert", num_tokens=2)


def test_numbers_of_other_types_are_what_they_stand_for():
    """As options and JSON give them; the config is the same."""
    given = make_experiment("topics", epochs=3.0, learning_rate="1e-3")
    assert type(given.epochs) is int
    expected = make_experiment("topics", epochs=3, learning_rate=0.001)
    assert given.config() == expected.config()


@pytest.mark.parametrize("split", [(0.5, 0.5), (0.8, 0.2, 0.0), (1, 1, 1)])
def test_shares_that_do_not_sum_to_one(split):
    with pytest.raises(ValueError, match="Argument `split` must be"):
        make_experiment("topics", split=split)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("topics", "split", 5),
        ("topics", "split", None),
        ("topics", "data", 5),
        ("topics", "glove", 5),
        ("topics", "tasks", 5),
        ("topics", "tasks", ["com"]),
        ("topics", "tasks", [["comp"]]),
        ("demo", "tasks", ["lef"]),
    ],
)
def test_values_of_other_types(name, setting, value):
    with pytest.raises(ValueError, match=f"^Argument `{setting}` must be"):
        make_experiment(name, **{setting: value})


@pytest.mark.parametrize("value", [5, ["minilm"]])
def test_presets_of_other_types(value):
    with pytest.raises(ValueError, match="Argument `preset` must be"):
        make_experiment("topics", encoder="bert", preset=value)


def test_a_weighter_by_its_class_has_the_settings_of_its_name():
    by_class = make_experiment("topics", weighter="MetaWeighting")
    by_name = make_experiment("topics", weighter="meta_weighting")
    assert by_class == by_name
    assert by_class.make_weighter().step_size == 0.5


def test_repeats_are_kept_or_not():
    with pytest.raises(ValueError, match="`repeats`"):
        make_experiment("sentiment", repeats="some")
