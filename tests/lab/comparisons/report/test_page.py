import base64
import csv
import math
import re
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from keras_mtl.lab.cli import app
from keras_mtl.lab.comparisons.cells import Cell
from keras_mtl.lab.comparisons.folder import ComparisonFolder
from keras_mtl.lab.comparisons.report import warnings
from keras_mtl.lab.comparisons.report.page import (
    flatness,
    gap_sentence,
    write_report,
)
from keras_mtl.lab.comparisons.report.reading import read_comparison
from keras_mtl.lab.comparisons.report.statistics import t_interval
from keras_mtl.lab.comparisons.report.summary import summarise, verdict
from tests.lab.comparisons.report.outline import METHODS, TASKS, make, outline
from tests.lab.comparisons.report.synthetic import cell, write, write_comparison

# A PNG file of one white pixel.
DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2"
    "mgAAAABJRU5ErkJggg=="
)
HOSTILE = "ValueError: <script>alert('x')</script> & \"more\""


@pytest.mark.usefixtures("rendered")
def test_the_page_has_all_parts_and_needs_no_other_file(tmp_path):
    methods = (*METHODS, "meta_weighting")
    sweeps = {"step_size": [0.1, 1.0]}
    comparison = make(tmp_path, methods=methods, sweeps=sweeps)
    page = outline(tmp_path, comparison)
    assert page.texts["h1"] == ["Comparison of task weighters: sentiment"]
    assert [text.strip() for text in page.texts["h2"]] == [
        "Results",
        "Scores of each task",
        "Swept parameters",
        "Training, query and test loss",
        "Task weights",
        "Conflicts between the tasks",
        "Validation over the epochs",
    ]
    (command,) = comparison.commands
    assert command in page.texts["pre"]
    assert "keras_mtl 0.1.0, tensorflow 2.21.0" in page.texts["dd"]
    pictures = [s for s in page.sources if s.startswith("data:image/png")]
    assert len(pictures) == 7
    # The start of any PNG file.
    assert all("base64,iVBORw0KGgo" in picture for picture in pictures)
    assert all(source.startswith("data:") for source in page.sources)
    files = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"index.html", "results.csv", "weights.png", "sweeps.png"} <= files
    assert len(files) == 9


def test_tables_hold_intervals_differences_and_costs(tmp_path):
    comparison = make(tmp_path)
    page = outline(tmp_path, comparison)
    slaw, uniform = (comparison.scores(m) for m in ("slaw", "uniform"))
    mean, half, _ = t_interval(slaw.values())
    difference = t_interval([slaw[seed] - uniform[seed] for seed in range(3)])
    row = next(row for row in page.rows if row[0] == "slaw")
    assert row[:3] == ["slaw", "3", f"{mean:.2f} ± {half:.2f}"]
    shown = f"{difference.mean:+.2f} ± {difference.half_width:.2f}"
    assert row[3] == shown.replace("-", "−")
    # 0.2 + 0.01 for each letter of the name.
    assert row[6:] == [f"{0.24 / 0.27:.2f}", f"{4 / 7:.2f}"]


def test_the_table_for_other_programs(tmp_path):
    comparison = make(tmp_path, sweeps={"step_size": [0.5]})
    write_report(comparison, tmp_path)
    with open(tmp_path / "results.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == (3 + 1) * 3 * 2
    content = cell("slaw", 2, TASKS, gain=0.004)
    expected = content["metrics"]["test_accuracy_by_task"]["b"]
    (row,) = (
        row
        for row in rows
        if (row["method"], row["seed"], row["task"]) == ("slaw", "2", "b")
    )
    assert (float(row["test_accuracy"]), row["sweep"]) == (expected, "")
    assert {row["sweep"] for row in rows} == {"", "step_size=0.5"}


def test_texts_are_escaped_and_missing_runs_listed(tmp_path):
    def change(cells):
        failed = {**cell("slaw", 0), "status": "failed", "error": HOSTILE}
        write(cells, "slaw/seed_0.json", failed)
        write(cells, "slaw/seed_1.json", "{broken")
        (cells / "uniform" / "seed_2.json").unlink()

    comparison = make(tmp_path, change=change, tasks=("<b>", "a&b"))
    page = outline(tmp_path, comparison)
    assert ["slaw, seed 0", "failed", HOSTILE] in page.rows
    listed = {row[0]: row[1] for row in page.rows if len(row) == 3}
    assert listed["slaw, seed 1"] == "unreadable"
    assert listed["uniform, seed 2"] == "unfinished"
    assert "script" not in page.texts
    text = (tmp_path / "report" / "index.html").read_text("utf-8")
    assert "<script" not in text
    assert "<b>" not in text


def test_one_seed_has_no_interval(tmp_path):
    comparison = make(tmp_path, seeds=1)
    page = outline(tmp_path, comparison)
    note = "One seed only: there is no interval, and chance is not known."
    assert note in page.texts["p"]
    assert "±" not in "".join(cell for row in page.rows for cell in row)
    sentence = verdict(comparison, summarise(comparison))
    assert sentence.startswith("No method has two seeds in common")


def test_nothing_finished(tmp_path):
    comparison = make(tmp_path, change=lambda c: c.rename(c.parent / "gone"))
    page = outline(tmp_path, comparison)
    assert "No run is finished yet." in page.texts["p"]
    assert len(comparison.troubles) == 9
    assert not list((tmp_path / "report").glob("*.png"))


def scored(folder, scores, **given):
    """Writes a comparison with these averages, alike for both tasks."""
    methods = tuple(scores)
    make(folder, methods=methods, seeds=len(scores["uniform"]), **given)
    for method, values in scores.items():
        for seed, value in enumerate(values):
            content = cell(method, seed, TASKS)
            by_task = {"a": value, "b": value}
            content["metrics"]["test_accuracy"] = value
            content["metrics"]["test_accuracy_by_task"] = by_task
            write(folder, f"cells/{method}/seed_{seed}.json", content)
    return read_comparison(folder)


def test_the_verdict_and_delta_m(tmp_path):
    comparison = scored(
        tmp_path,
        {
            "stl": [0.50, 0.50, 0.50],
            "uniform": [0.40, 0.41, 0.42],
            "up": [0.50, 0.51, 0.53],
            "same": [0.41, 0.40, 0.42],
        },
    )
    rows = {row.method: row for row in summarise(comparison)}
    assert rows["up"].difference.mean == pytest.approx(100 * 0.31 / 3)
    assert rows["up"].delta_m.mean == pytest.approx(100 * (0.02 + 0.06) / 3)
    assert math.isnan(rows["stl"].delta_m.mean)
    sentence = verdict(comparison, list(rows.values()))
    assert re.fullmatch(
        r"stl \(\+9\.00 ± 2\.48, 3 seeds\) and "
        r"up \(\+10\.33 ± 1\.43, 3 seeds\) "
        r"differ from uniform weights in average test accuracy \(in "
        r"percentage points\) "
        r"outside the 95 % interval of the paired difference; the 1 other "
        r"method does not\.",
        sentence,
    )
    worse = warnings.worse_than_single(comparison)
    assert len(worse) == 4
    assert worse[0] == (
        "uniform: 'a' is worse than alone: −9.00 ± 2.48 percentage points."
    )
    assert not any("up" in line for line in worse)


def test_lower_may_be_better(tmp_path):
    """A loss that rises is a loss: Δm is negative."""
    score = {
        "key": "test_accuracy",
        "label": "normalised loss",
        "unit": "",
        "factor": 1.0,
        "higher_is_better": False,
    }
    scores = {"stl": [1.0, 1.0], "uniform": [1.1, 1.1], "down": [0.9, 0.9]}
    comparison = scored(tmp_path, scores, score=score)
    changes = [row.delta_m.mean for row in summarise(comparison)]
    np.testing.assert_allclose(changes[1:], [-10.0, 10.0])
    lines = warnings.worse_than_single(comparison)
    assert lines[0] == "uniform: 'a' is worse than alone: +0.10 ± 0.00."
    assert len(lines) == 2


def test_which_loss_is_nearer_to_the_tests(tmp_path):
    gaps = ((0.3, 0.1), (0.3, 0.2))  # of training and query, for each seed

    def change(cells):
        for seed, (training, query) in enumerate(gaps):
            content = cell("meta_weighting", seed, TASKS)
            sets = {"training": 0.5 - training, "query": 0.5 + query}
            for name, loss in {**sets, "test": 0.5}.items():
                by_task = {task: [0.1, 0.1, loss] for task in TASKS}
                content["losses"][name]["error"] = by_task
            write(cells, f"meta_weighting/seed_{seed}.json", content)

    methods = ("uniform", "meta_weighting")
    comparison = make(tmp_path, seeds=2, methods=methods, change=change)
    interval = t_interval([0.2, 0.1])
    assert gap_sentence(comparison) == (
        "meta_weighting, 2 seeds: after epoch 25 query and test loss differ by "
        "0.1500 on average over tasks, training and test loss by 0.3000. The "
        f"query loss is nearer by +0.1500 ± {interval.half_width:.4f} (0-1 "
        "loss; 95 % t-interval over seeds)."
    )


def test_learning_rates_are_told_by_method_where_they_differ(tmp_path):
    def change(cells):
        content = cell("slaw", 1, TASKS)
        content["config"]["learning_rate"] = 5e-4
        write(cells, "slaw/seed_1.json", content)

    page = outline(tmp_path, make(tmp_path, change=change))
    rates = "slaw 0.001, 0.0005; stl 0.001; uniform 0.001"
    assert rates in page.texts["dd"]
    page = outline(tmp_path, make(tmp_path / "alike"))
    assert "0.001" in page.texts["dd"]


def test_flatness_compares_the_last_two_fifths(tmp_path):
    def change(cells):
        content = cell("slaw", 0, TASKS)
        for task in TASKS:
            rising = np.linspace(0.1, 0.34, 25).tolist()
            content["history"][f"val_{task}_accuracy"] = rising
        write(cells, "slaw/seed_0.json", content)

    comparison = make(tmp_path, methods=("slaw",), seeds=1, change=change)
    assert flatness(comparison).endswith("before it: slaw +5.00.")


def test_the_command(tmp_path):
    make(tmp_path, seeds=2)
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert f"Written to {tmp_path / 'report' / 'index.html'}" in result.output
    missing = CliRunner().invoke(app, ["report", str(tmp_path / "report")])
    assert missing.exit_code == 1
    assert "Error: The folder" in missing.stderr
    assert "holds no comparison" in missing.stderr


def test_metrics_of_tasks_constants_and_pictures(tmp_path):
    """As dense prediction has them: each task its own, and no model's too."""
    tasks = ("classes", "depth")

    def scores(first, second):
        return {"classes": {"mean_iou": first}, "depth": {"error": second}}

    changes = {"uniform": scores(0.2, 0.5), "slaw": scores(0.25, 0.4)}
    write_comparison(
        tmp_path,
        tuple(changes),
        tasks,
        seeds=1,
        higher_is_better={"mean_iou": True, "error": False},
    )
    for method, found in changes.items():
        content = cell(method, 0, tasks)
        content["metrics"]["scores"] = found
        content["metrics"]["constants"] = {"the mean": scores(0.1, 0.875)}
        write(tmp_path, f"cells/{method}/seed_0.json", content)
    kept = ComparisonFolder(tmp_path)
    for method in changes:
        drawn = kept.run_path(Cell(method, 0)) / "pictures.png"
        drawn.parent.mkdir(parents=True)
        real = base64.b64decode(DOT) if method == "slaw" else b"no picture"
        drawn.write_bytes(real)
        kept.keep_picture(Cell(method, 0))
    kept.keep_picture(Cell("none", 0))
    shutil.rmtree(tmp_path / "runs")  # Only what is kept is needed.
    comparison = read_comparison(tmp_path)
    page = outline(tmp_path, comparison)
    rows = {row[0]: row[1:] for row in page.rows if row[0].startswith("the")}
    assert rows == {"the mean (no model)": ["0.1000", "0.8750"]}
    # (0.25 - 0.2) / 0.2 is +25 %, and 0.5 to 0.4 +20 %.
    (change,) = (s.change for s in summarise(comparison) if s.method == "slaw")
    assert change.mean == pytest.approx(22.5)
    assert page.texts["h2"][-1] == "Predictions"
    assert [s.split(",")[1] for s in page.sources if s.endswith(DOT)] == [DOT]
    content["metrics"]["constants"] = {"the mean": 3}
    write(tmp_path, "cells/slaw/seed_0.json", content)
    (trouble,) = read_comparison(tmp_path).troubles
    assert trouble.kind == "unreadable"
