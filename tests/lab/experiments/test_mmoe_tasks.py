import numpy as np
import pytest

from keras_mtl.architectures import PLE, MMoE
from keras_mtl.lab.comparisons.methods import methods_for
from keras_mtl.lab.experiments import make_experiment
from keras_mtl.lab.experiments.mmoe_tasks import MMoETasksExperiment
from keras_mtl.lab.experiments.topics import TopicsExperiment

SMALL = {"num_train": 64, "num_test": 32, "epochs": 1}


def built(architecture):
    experiment = MMoETasksExperiment(architecture=architecture, **SMALL)
    parts = experiment.parts()
    model = experiment.build(parts)
    model(parts.train[0][:2])
    return experiment, parts, model


def test_shared_bottom_is_as_large_as_mmoe():
    *_, mmoe = built("mmoe")
    *_, shared = built("shared_bottom")
    # 8 experts of 16 on 100 inputs, gates, and two heads 16-8-1, by hand.
    experts, gates = 101 * 8 * 16, 2 * 101 * 8
    assert isinstance(mmoe.encoder, MMoE)
    assert mmoe.count_params() == experts + gates + 2 * (17 * 8 + 9)
    # Widths are whole: half a unit has (101 + 16) / 2 parameters.
    difference = shared.count_params() - mmoe.count_params()
    assert abs(difference) <= (101 + 16) / 2


def test_ple_has_as_many_experts():
    *_, ple = built("ple")
    assert isinstance(ple.encoder, PLE)
    (level,) = ple.encoder.levels
    assert 2 * level.own_of("task_1") + level.num_shared == 8


def test_errors_are_those_of_the_test_rows():
    experiment, parts, model = built("shared_bottom")
    x, y = parts.test
    found = experiment.evaluate(model, parts, None)
    squares = {
        task: np.mean((model(x)[task].numpy() - y[task]) ** 2) for task in y
    }
    assert found["test_mse_by_task"] == pytest.approx(squares, rel=1e-5)
    assert found["test_mse"] == pytest.approx(np.mean([*squares.values()]))
    rows = [len(part[0]) for part in (parts.train, parts.validation, (x, y))]
    assert rows == [64, 32, 32]


def test_architectures_are_methods_where_the_experiment_has_them():
    assert {"mmoe", "ple"} <= methods_for(MMoETasksExperiment).keys()
    of_texts = methods_for(TopicsExperiment)
    assert "advmtl" in of_texts
    assert "mtan" not in of_texts


def test_unknown_architecture():
    with pytest.raises(ValueError, match="Did you mean 'mmoe'"):
        make_experiment("mmoe_tasks", architecture="mmo")
