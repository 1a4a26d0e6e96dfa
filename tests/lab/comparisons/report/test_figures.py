import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest

from keras_mtl.lab.comparisons.report import figures
from keras_mtl.lab.comparisons.report.figures.clusters import _focus
from keras_mtl.lab.comparisons.report.figures.curves import validation_curves
from keras_mtl.lab.comparisons.report.figures.sweeps import swept_scores
from keras_mtl.lab.comparisons.report.reading import read_comparison
from keras_mtl.lab.comparisons.report.statistics import query_bound, t_interval
from keras_mtl.reporting import style
from tests.lab.comparisons.report.synthetic import (
    METHODS,
    TASKS,
    write_comparison,
)

SWEEPS = {"query_split": [0.05, 0.1, 0.5], "step_size": [0.1, 0.5]}


@functools.cache
def comparison(num_tasks, num_methods=12, seeds=2):
    with tempfile.TemporaryDirectory() as folder:
        write_comparison(
            Path(folder),
            methods=METHODS[:num_methods],
            tasks=TASKS[:num_tasks],
            seeds=seeds,
            sweeps=SWEEPS,
        )
        return read_comparison(folder)


def names(figure):
    """Returns the entries of the figure's only legend."""
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("num_tasks", [1, 2, 3, 4, 7, 14])
def test_a_panel_for_each_task_with_a_point_for_each_seed(num_tasks):
    given = comparison(num_tasks)
    panels = figures.draw_clusters(given).axes
    tasks = [None, *TASKS[:num_tasks]] if num_tasks > 1 else [None]
    titles = [panel.get_title() for panel in panels]
    assert titles == ["average of the tasks", *tasks[1:]]
    assert panels[-1].get_xlabel() == "test accuracy (%)"
    for panel, task in zip(panels, tasks, strict=True):
        assert len(panel.collections) == len(METHODS)
        for method, points in zip(METHODS, panel.collections, strict=True):
            drawn = points.get_offsets()[:, 0]
            np.testing.assert_allclose(
                sorted(drawn), sorted(given.scores(method, task).values())
            )
    labels = [label.get_text() for label in panels[0].get_yticklabels()]
    assert labels == list(METHODS)


def test_a_method_far_from_the_others_is_written_at_the_edge():
    _figure, (panel,) = style.panels(1, 1, 3.0, 3.0)
    together = [[10.0 + method, 10.5 + method] for method in range(6)]
    _focus(panel, [*together, [390.0, 410.0], [-100.0]])
    low, high = panel.get_xlim()
    assert -10 < low < 10.0
    assert 15.5 < high < 40
    written = [(text.get_text(), text.get_position()) for text in panel.texts]
    assert written == [("400 →", (0.98, 6)), ("← -100", (0.02, 7))]
    for alike in (together, [[1.0], [1.0], [1.0], [1.0], [9.0]]):
        _figure, (panel,) = style.panels(1, 1, 3.0, 3.0)
        _focus(panel, alike)
        assert not panel.texts
        assert panel.get_autoscalex_on()


@pytest.mark.parametrize("num_tasks", [1, 2, 5, 14])
def test_a_weight_curve_for_each_task(num_tasks):
    figure = figures.draw_weights(comparison(num_tasks))
    weighted = METHODS[1:]  # Single tasks have no weights.
    assert [p.get_title() for p in figure.axes] == [
        f"{method}, seed 0" for method in weighted
    ]
    assert names(figure) == list(TASKS[:num_tasks])
    for panel in figure.axes:
        looks = {
            (line.get_color(), line.get_linestyle()) for line in panel.lines
        }
        assert len(panel.lines) == len(looks) == num_tasks
        low, high = panel.get_ylim()
        assert high - low >= 0.0999
    assert figure.get_supylabel() == "task weight (no unit)"
    bottom = [panel.get_xlabel() for panel in figure.axes][-3:]
    assert bottom == ["training step (batches)"] * 3


def test_looks_are_told_apart():
    looks = {tuple(sorted(style.look(index).items())) for index in range(28)}
    assert len(looks) == 28


@pytest.mark.parametrize("num_tasks", [1, 3, 14])
def test_losses_side_by_side_with_the_bound(num_tasks):
    given = comparison(num_tasks)
    figure = figures.draw_errors(given)
    assert [p.get_title() for p in figure.axes] == [
        f"epoch {epoch}, meta_weighting" for epoch in (1, 5, 25)
    ]
    bound = "query ± bound of Theorem 3 (δ = 0.05)"
    assert names(figure) == ["training", "query", "test", bound]
    runs = [run.losses for run in given.of_method("meta_weighting").values()]
    for place, panel in enumerate(figure.axes):
        training, query, test, errors = panel.containers
        sets = {"training": training, "query": query, "test": test}
        for name, bars in sets.items():
            expected = [
                np.mean([run[name]["error"][task][place] for run in runs])
                for task in TASKS[:num_tasks]
            ]
            heights = [bar.get_height() for bar in bars]
            np.testing.assert_allclose(heights, expected)
        (ends,) = errors.lines[2]
        span = np.ptp(ends.get_segments()[0][:, 1])
        assert span == pytest.approx(2 * query_bound(240))
    plain = figures.draw_losses(given)
    assert names(plain) == ["training", "query", "test"]
    assert plain.get_supylabel() == "loss (nats, if a cross entropy)"


def test_sweeps_have_intervals():
    given = comparison(3, seeds=3)
    ratio, step_size = figures.draw_sweeps(given).axes
    assert ratio.get_xlabel() == "query ratio ρ (share of the training rows)"
    assert step_size.get_xlabel() == "step size of the task weights (no unit)"
    ticks = [tick.get_text() for tick in ratio.get_xticklabels()]
    assert ticks == ["0.05", "0.1", "0.5"]
    (bars,) = ratio.containers
    scores = [
        100 * cell.average
        for cell in given.cells
        if cell.sweep == {"query_split": 0.05}
    ]
    interval = t_interval(scores)
    segment = bars.lines[2][0].get_segments()[0]
    assert bars.lines[0].get_ydata()[0] == pytest.approx(interval.mean)
    assert np.ptp(segment[:, 1]) == pytest.approx(2 * interval.half_width)


def test_runs_outside_a_sweep_stand_for_their_own_value(tmp_path):
    write_comparison(
        tmp_path,
        sweeps={"step_size": [0.1]},
        plain_values={"meta_weighting": {"step_size": 0.5}, "uniform": {}},
    )
    given = read_comparison(tmp_path)
    (scores,) = swept_scores(given, "step_size").values()
    plain = given.scores("meta_weighting").values()
    assert list(scores) == [0.1, 0.5]
    assert scores[0.5] == list(plain)


def test_swept_values_are_compared_on_the_seeds_that_all_have(tmp_path):
    write_comparison(
        tmp_path,
        sweeps={"step_size": [0.1]},
        plain_values={"meta_weighting": {"step_size": 0.5}},
    )
    for seed in (1, 2):
        name = f"meta_weighting@step_size=0.1/seed_{seed}.json"
        (tmp_path / "cells" / name).unlink()
    given = read_comparison(tmp_path)
    (scores,) = swept_scores(given, "step_size").values()
    assert scores[0.5] == [given.scores("meta_weighting")[0]]
    assert len(scores[0.1]) == 1


@pytest.mark.parametrize("num_tasks", [1, 14])
def test_curves_are_means_over_seeds(num_tasks):
    given = comparison(num_tasks)
    figure = figures.draw_validation(given)
    whole, late = figure.axes
    assert names(figure) == list(METHODS)
    assert whole.get_ylabel() == "mean validation accuracy (%)"
    cells = given.of_method("uniform").values()
    form = "val_{}_accuracy"
    curves = [cell.mean_history(given.tasks, form) for cell in cells]
    line = whole.lines[1]
    np.testing.assert_allclose(line.get_ydata(), 100 * np.mean(curves, axis=0))
    assert list(late.lines[1].get_xdata()) == list(range(13, 26))

    figure = figures.draw_conflicts(given)
    assert names(figure) == list(METHODS[1:])
    cosine, share = figure.axes
    assert cosine.get_ylabel() == "mean cosine (no unit)"
    assert share.get_ylabel() == "share of negative cosines (no unit)"
    expected = np.mean([c.conflicts["mean_cosine"] for c in cells], axis=0)
    np.testing.assert_allclose(cosine.lines[0].get_ydata(), expected)


def test_of_many_methods_those_farthest_from_the_baseline_are_named(
    monkeypatch,
):
    given = comparison(3)
    curves = {
        method: np.mean(
            [
                c.conflicts["mean_cosine"]
                for c in given.of_method(method).values()
            ],
            axis=0,
        )
        for method in METHODS[1:]
    }
    gaps = {
        method: np.mean(np.abs(curve - curves["uniform"]))
        for method, curve in curves.items()
    }
    farthest = sorted(gaps, key=gaps.get)[-3:]
    monkeypatch.setattr(
        "keras_mtl.lab.comparisons.report.figures.curves.MOST_NAMED", 4
    )
    figure = figures.draw_conflicts(given)
    assert set(names(figure)) == {"uniform", *farthest}
    (legend,) = figure.legends
    assert legend.get_title().get_text() == "method (grey: others)"
    for panel in figure.axes:
        grey = [line for line in panel.lines if line.get_color() == "0.8"]
        assert len(grey) == len(curves) - 4


def test_methods_are_compared_on_the_seeds_that_all_have(tmp_path):
    write_comparison(tmp_path, methods=("uniform", "slaw"), tasks=TASKS[:2])
    for seed in (0, 2):
        (tmp_path / f"cells/slaw/seed_{seed}.json").unlink()
    given = read_comparison(tmp_path)
    both = {method: given.of_method(method)[1] for method in given.methods}

    panel = figures.draw_clusters(given).axes[0]
    dashed = [li for li in panel.lines if li.get_linestyle() == "--"]
    scores = given.scores("uniform")
    ours, theirs = (line.get_xdata()[0] for line in dashed)
    assert ours == pytest.approx(np.mean([*scores.values()]))
    assert theirs == scores[1]

    form = "val_{}_accuracy"
    for method, (_, values) in validation_curves(given)[1].items():
        own = both[method].mean_history(given.tasks, form)
        np.testing.assert_allclose(values, 100 * own)
    cosines, _ = figures.draw_conflicts(given).axes
    for line, cell in zip(cosines.lines, both.values(), strict=False):
        np.testing.assert_array_equal(
            line.get_ydata(), cell.conflicts["mean_cosine"]
        )


def test_without_results_nothing_is_drawn():
    given = comparison(2, num_methods=0)
    for name in figures.__all__:
        if name != "draw_sweeps":
            assert getattr(figures, name)(given) is None
    given = comparison(2, num_methods=1)  # Single tasks only.
    for name in ("draw_weights", "draw_conflicts", "draw_errors"):
        assert getattr(figures, name)(given) is None
