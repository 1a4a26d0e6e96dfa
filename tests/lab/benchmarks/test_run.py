import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.lab.benchmarks import workloads
from keras_mtl.lab.benchmarks.run import benchmark

QUICK = {"batch_size": 8, "repetitions": 2, "block_seconds": 1e-3}


@pytest.fixture(scope="module")
def tiny():
    return workloads.mlp(2, 8, widths=(6, 5, 4))


@pytest.fixture(scope="module")
def result(tiny):
    names = ["slaw", "meta_weighting"]
    return benchmark(tiny.model, tiny.x, tiny.y, weighters=names, **QUICK)


def test_rows_are_uniform_weighters_and_plain_keras(result):
    names = [row.name for row in result.rows]
    assert names == ["uniform", "slaw", "meta_weighting", "plain keras"]


def test_uniform_is_the_unit_and_all_ratios_are_positive(result):
    assert tuple(result["uniform"].ratio) == (1.0, 1.0, 1.0)
    for row in result.rows:
        ratio = row.ratio
        assert 0.0 < ratio.lower_quartile <= ratio.median
        assert ratio.median <= ratio.upper_quartile
        assert row.step_seconds > 0.0
        assert row.first_step_seconds > row.step_seconds


def test_parameters_are_those_of_encoder_and_heads(result):
    assert result.num_parameters == (6 + 1) * 5 + (5 + 1) * 4 + 2 * (4 + 1)


def test_the_table_has_a_line_for_every_row(result):
    text = str(result)
    for row in result.rows:
        assert row.name in text
    assert "2 tasks, 69 parameters, batch 8" in text


def test_the_users_model_and_weighter_do_not_change(tiny):
    before = [v.value.numpy() for v in tiny.model.variables]
    mine = weighters.DWA(temperature=3.0)
    result = benchmark(
        tiny.model, tiny.x, tiny.y, weighters=[mine, mine], **QUICK
    )
    assert [row.name for row in result.rows[1:3]] == ["DWA", "DWA 2"]
    assert mine.task_weights is None
    assert int(tiny.model.optimizer.iterations) == 0
    for variable, value in zip(tiny.model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.value.numpy(), value)


def test_separate_inputs_metrics_and_sample_weights():
    encoder = keras.layers.Dense(3)
    heads = {t: keras.layers.Dense(1) for t in ("a", "b")}
    model = MultiTaskModel(encoder, heads)
    model.compile("sgd", "mse", metrics={"a": ["mae"]}, loss_weights={"b": 2.0})
    x = {task: np.ones((8, 4), "float32") for task in heads}
    y = {task: np.ones((8, 1), "float32") for task in heads}
    weight = {task: np.ones(8, "float32") for task in heads}
    result = benchmark(model, x, y, weight, weighters=[], **QUICK)
    assert [row.name for row in result.rows] == ["uniform", "plain keras"]
    assert result.fit_over_plain_keras.median > 0.0


def test_plain_keras_can_be_left_out(tiny):
    result = benchmark(
        tiny.model, tiny.x, tiny.y, weighters=[], plain_keras=False, **QUICK
    )
    assert [row.name for row in result.rows] == ["uniform"]
    assert result.fit_over_plain_keras is None


def test_a_model_that_is_not_compiled_is_refused(tiny):
    model = MultiTaskModel(keras.layers.Dense(2), {"a": keras.layers.Dense(1)})
    with pytest.raises(ValueError, match=r"needs a compiled model. Call"):
        benchmark(model, tiny.x, tiny.y)


class Counting:
    def __init__(self):
        self.steps = 0

    def run(self, steps):
        self.steps += steps


def test_peers_are_timed_in_the_same_run(tiny):
    peer = Counting()
    result = benchmark(
        tiny.model,
        tiny.x,
        tiny.y,
        weighters=[],
        plain_keras=False,
        peers={"nothing": lambda: peer},
        **QUICK,
    )
    row = result["nothing"]
    # The first step, two to see how long it takes, and a block to warm up.
    assert peer.steps == 1 + 2 + 3 * row.steps_per_block
    assert row.steps_per_block == result["uniform"].steps_per_block
    assert (row.least_ratio, row.reduced_bytes, row.over_least) == (None,) * 3


def test_what_a_method_needs_stands_next_to_it(result):
    assert result["slaw"].least_ratio == 1.0
    assert result["plain keras"].least_ratio == 1.0
    meta = result["meta_weighting"]
    assert meta.least_ratio > 1.5
    assert meta.over_least == meta.ratio.median / meta.least_ratio
    assert meta.reduced_bytes > result["slaw"].reduced_bytes > 0
    assert result["plain keras"].reduced_bytes is None
