import json

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from keras_mtl import MultiTaskModel, cli, weighters
from keras_mtl.benchmarks import workloads
from keras_mtl.benchmarks.run import benchmark
from keras_mtl.benchmarks.timing import spread

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


def test_spread_holds_median_and_quartiles():
    assert tuple(spread([1.0, 2.0, 3.0, 4.0, 5.0])) == (3.0, 2.0, 4.0)


@pytest.mark.parametrize("size", workloads.SIZES)
def test_three_tasks_trains(size, monkeypatch):
    monkeypatch.setitem(workloads.SIZES, size, (4, 5))
    work = workloads.three_tasks(size, 8)
    history = work.model.fit(work.x, work.y, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_the_command_writes_json(tmp_path, monkeypatch):
    monkeypatch.setattr(workloads.mlp, "__defaults__", ("auto", (6, 5, 4)))
    path = tmp_path / "bench.json"
    arguments = [
        "bench",
        "--tasks",
        "1,2",
        "--weighters",
        "slaw",
        "--out",
        str(path),
    ]
    arguments += ["--batch-size", "8", "--repetitions", "2"]
    arguments += ["--block-seconds", "0.001", "--clock", "processor"]
    ran = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert ran.exit_code == 0
    document = json.loads(path.read_text())
    assert set(document) == {"versions", "platform", "threads", "results"}
    assert document["threads"] == 1
    assert [r["num_tasks"] for r in document["results"]] == [1, 2]
    for result in document["results"]:
        assert set(result) == {
            *("name", "num_tasks", "num_parameters", "batch_size"),
            *("jit_compile", "clock", "repetitions", "steps_per_block"),
            *("rows", "fit_over_plain_keras"),
        }
        assert [r["name"] for r in result["rows"]] == [
            *("uniform", "slaw", "plain keras")
        ]
        for row in result["rows"]:
            assert set(row["ratio"]) == {
                *("median", "lower_quartile", "upper_quartile")
            }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weighters", "slow"], "Unknown weighter 'slow'"),
        (["--tasks", "10,many"], "Received: 'many'"),
        (["--tasks", "0"], "Received: '0'"),
        (["--out", "no/such/folder/bench.json"], "No such file"),
    ],
)
def test_the_command_refuses_before_it_starts(arguments, message):
    ran = CliRunner().invoke(cli.app, ["bench", *arguments])
    assert ran.exit_code == 1
    assert message in ran.output
