import numpy as np
import pytest

from keras_mtl.lab.datasets.reviews import DOMAINS
from keras_mtl.lab.experiments.pictures import training_figure, weights_figure


@pytest.mark.parametrize("num_runs", [1, 3, 4])
@pytest.mark.parametrize("num_tasks", [1, 3, 14])
def test_every_task_has_a_look_and_a_name_that_is_seen(num_runs, num_tasks):
    steps, weights = np.arange(5), np.ones((5, num_tasks))
    figure = weights_figure(
        [steps] * num_runs,
        [weights] * num_runs,
        DOMAINS[:num_tasks],
        [f"run {n}" for n in range(num_runs)],
    )
    assert len(figure.axes) == num_runs
    for panel in figure.axes:
        looks = {
            (line.get_color(), line.get_linestyle()) for line in panel.lines
        }
        assert len(looks) == num_tasks
    figure.canvas.draw()
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [*DOMAINS[:num_tasks]]
    extent, page = legend.get_window_extent(), figure.bbox
    assert page.x0 <= extent.x0 < extent.x1 <= page.x1
    assert page.y0 <= extent.y0 < extent.y1 <= page.y1


def test_weights_that_do_not_move_look_like_it():
    figure = weights_figure(
        [np.arange(2)], [np.array([[1.0], [1.001]])], ["a"], ["slaw"]
    )
    low, high = figure.axes[0].get_ylim()
    assert high - low == pytest.approx(0.1)


def test_a_training_is_drawn_as_it_was():
    weights = [np.arange(12.0).reshape(4, 3) + run for run in range(2)]
    steps = [np.array([0, 2, 4]), np.array([0, 3])]
    cosines = [np.full((3, 3), 0.5), np.array([[0.1, -0.8, np.nan]] * 2)]
    figure = training_figure(weights, steps, cosines, [*"abc"], ["one", "two"])
    panels = figure.axes
    assert [panel.get_title() for panel in panels] == ["one", "two", "", ""]
    for panel, run in zip(panels, weights, strict=False):
        drawn = [line.get_xydata() for line in panel.lines]
        np.testing.assert_array_equal(np.stack(drawn, 1)[..., 1], run)
        assert [*drawn[0][:, 0]] == [1, 2, 3, 4]
    for panel, at, run in zip(panels[2:], steps, cosines, strict=True):
        drawn = [line.get_xydata() for line in panel.lines[:3]]
        np.testing.assert_array_equal(np.stack(drawn, 1)[..., 1], run)
        assert [*drawn[0][:, 0]] == [*at]
        assert panel.get_ylim() == pytest.approx((-0.88, 0.88))
    names = [text.get_text() for text in panels[3].get_legend().get_texts()]
    assert names == ["a and b", "a and c", "b and c"]
