import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_mtl.lab import experiments
from keras_mtl.lab.comparisons.cells import (
    Cell,
    parse_sweeps,
    plain_values,
    plan,
)
from keras_mtl.lab.comparisons.methods import (
    METHODS,
    check_methods,
    methods_for,
    takes,
    with_architectures,
)
from keras_mtl.lab.comparisons.search import LEARNING_RATES, search_cells
from keras_mtl.lab.experiments import (
    architectures_of,
    experiment_class,
    make_experiment,
)
from keras_mtl.lab.experiments.experiment import Experiment

DEMO = experiment_class("demo")
NAMES = [*methods_for(DEMO)]


@given(
    st.lists(st.sampled_from(NAMES), unique=True, min_size=1),
    st.integers(1, 4),
    st.lists(st.floats(0.01, 0.9), unique=True, max_size=3),
)
def test_a_plan_has_every_cell_once(methods, seeds, values):
    sweeps = {"query_split": values} if values else {}

    def experiment_of(cell):
        return make_experiment("demo", **cell.settings({}))

    plain = plain_values(sweeps, methods, experiment_of)
    cells = plan(methods, seeds, sweeps, plain)
    assert len(set(cells)) == len(cells)
    swept = [m for m in methods if takes(m, "query_split", DEMO)]
    others = {*values} - {DEMO.query_split}
    assert len(cells) == seeds * (len(methods) + len(swept) * len(others))
    assert [c.seed for c in cells] == sorted(c.seed for c in cells)


@pytest.mark.parametrize("name", NAMES)
def test_every_method_is_an_experiment(name):
    experiment = make_experiment("demo", **Cell(name, 3).settings({}))
    assert experiment.seed == 3
    assert experiment.weighter == METHODS[name].weighter


def test_names_of_cells():
    cell = Cell("meta_weighting", 1, (("step_size", 0.5),))
    assert cell.group == "meta_weighting@step_size=0.5"
    assert cell.name == "meta_weighting@step_size=0.5/seed_1"
    assert Cell("slaw", 0).name == "slaw/seed_0"


def test_a_sweep_sets_what_it_names():
    common = {"epochs": 2, "weighter_arguments": {"project": True}}
    own = Cell("meta_weighting", 0, (("step_size", 0.5),))
    assert own.settings(common)["weighter_arguments"] == {
        "project": True,
        "step_size": 0.5,
    }
    other = Cell("meta_weighting", 0, (("query_split", 0.3),))
    assert other.settings(common)["query_split"] == 0.3
    assert common == {"epochs": 2, "weighter_arguments": {"project": True}}


def test_a_method_may_set_arguments_of_its_weighter():
    swept = Cell("meta_weighting_optimizer", 0, (("step_size", 0.5),))
    assert swept.settings({}) == {
        "weighter": "meta_weighting",
        "weighter_arguments": {"through": "optimizer", "step_size": 0.5},
        "query": "validation",
        "seed": 0,
    }
    assert METHODS["meta_weighting_optimizer"].arguments == {
        "through": "optimizer"
    }


def test_who_takes_a_parameter():
    assert takes("meta_weighting", "query_split", DEMO)
    assert takes("slaw", "momentum", DEMO)
    assert takes("meta_weighting", "tolerance", DEMO)
    assert not takes("slaw", "name", DEMO)
    assert not takes("uniform", "query_split", DEMO)
    assert not takes("slaw", "step_size", DEMO)


def test_a_search_sets_the_experiments_learning_rate():
    settings = search_cells(["gradnorm"])[0].settings({"epochs": 2})
    assert settings["learning_rate"] == LEARNING_RATES[0]
    assert settings["seed"] == 0
    # A sweep sets that of the weighter.
    swept = Cell("gradnorm", 0, (("learning_rate", 0.1),)).settings({})
    assert swept["weighter_arguments"] == {"learning_rate": 0.1}


def test_sweeps_are_read():
    sweeps = parse_sweeps(
        ["query_split=0.05,0.1", "step_size=1"], ["meta_weighting"], DEMO
    )
    assert sweeps == {"query_split": [0.05, 0.1], "step_size": [1.0]}
    texts = ["step_size=1,0.5", "step_size=0.5,2"]
    sweeps = parse_sweeps(texts, ["meta_weighting"], DEMO)
    assert sweeps == {"step_size": [0.5, 1.0, 2.0]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("query_split", "A sweep must be a parameter and its values"),
        ("=1", "A sweep must be a parameter and its values"),
        ("query_split=a", "`query_split` must be a finite number"),
        ("step_size=0.1,0.10000001", "must differ in their first six"),
        ("seed=1", "None of the methods ['meta_weighting'] takes"),
        ("kwargs=1", "None of the methods ['meta_weighting'] takes"),
        ("epochs=1", "None of the methods ['meta_weighting'] takes"),
        ("momentum=0.5", "None of the methods ['meta_weighting'] takes"),
        ("num_tasks=2", "None of the methods ['meta_weighting'] takes"),
    ],
)
def test_bad_sweeps(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_sweeps([text], ["meta_weighting"], DEMO)


def test_numbers_of_tasks_are_swept_where_an_experiment_has_them():
    kind, methods = experiment_class("mtregression"), ["stl", "slaw"]
    sweeps = parse_sweeps(["num_tasks=4,10"], methods, kind)

    def experiment_of(cell):
        return make_experiment("mtregression", **cell.settings({}))

    plain = plain_values(sweeps, methods, experiment_of)
    assert plain == {"slaw": {"num_tasks": kind.num_tasks}}
    cells = plan(methods, 1, sweeps, plain)
    assert [cell.group for cell in cells] == [*methods, "slaw@num_tasks=4"]
    assert experiment_of(cells[-1]).config()["num_tasks"] == 4


def test_bad_methods():
    with pytest.raises(ValueError, match="Did you mean 'slaw'"):
        check_methods(["slow"], DEMO)
    with pytest.raises(ValueError, match="'advmtl' cannot run on 'demo'"):
        check_methods(["advmtl"], DEMO)
    with pytest.raises(ValueError, match="'ideal_constant' cannot run"):
        check_methods(["ideal_constant"], DEMO)
    with pytest.raises(ValueError, match="'stl' cannot run on 'toxcast'"):
        check_methods(["stl"], experiment_class("toxcast"))


def test_methods_are_weighters_times_architectures():
    census = experiment_class("census")
    product = with_architectures(
        ["stl", "uniform", "slaw"], ["shared_bottom", "mmoe"], census
    )
    assert product == ["stl", "uniform", "mmoe", "slaw", "mmoe+slaw"]
    assert check_methods(product, census) == product
    assert with_architectures([], ["ple"], census) == ["ple"]
    assert check_methods(["all"], census) == list(methods_for(census))
    # The same runs have one name.
    assert check_methods(["mmoe+uniform", "mmoe"], census) == ["mmoe"]
    settings = Cell("mmoe+slaw", 2).settings({"epochs": 1})
    assert settings == {
        "epochs": 1,
        "weighter": "slaw",
        "architecture": "mmoe",
        "seed": 2,
    }
    assert takes("mmoe+slaw", "momentum", DEMO)
    topics = experiment_class("topics")
    product = with_architectures(
        ["advmtl", "slaw"], ["shared", "shared_private"], topics
    )
    assert product == ["advmtl", "slaw", "shared_private+slaw"]
    assert check_methods(product, topics) == product
    for name in ("mmoe+slow", "mtan+slaw", "mmoe+stl", "mmoe+advmtl"):
        with pytest.raises(ValueError, match="Unknown method"):
            check_methods([name], census)


def test_encoders_are_architectures_where_the_experiment_has_them(monkeypatch):
    assert architectures_of("census", "mmoe,ple") == ["mmoe", "ple"]
    assert architectures_of("topics", "shared_private") == ["shared_private"]
    assert architectures_of("topics", "bert") == []
    assert architectures_of("census", None) == []
    with pytest.raises(ValueError, match="Did you mean 'mmoe'"):
        architectures_of("census", "mmo")

    class Mine(Experiment):
        """Without a setting `architecture`."""

    monkeypatch.setattr(experiments, "experiment_class", lambda name: Mine)
    with pytest.raises(ValueError, match="has one encoder"):
        architectures_of("mine:Mine", "mmoe")


def test_all_methods_by_default():
    assert check_methods([], DEMO) == NAMES
    assert {"stl", "uniform", "slaw", "meta_weighting"} <= set(NAMES)
    own = methods_for(experiment_class("mtregression"))
    assert "ideal_constant" in own
