import numpy as np
import pytest
from matplotlib import image

from keras_mtl.lab.datasets.reviews import DOMAINS
from keras_mtl.lab.experiments.pictures import plot_task_weights, weights_figure


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


def test_weights_that_do_not_move_look_like_it(tmp_path):
    path = tmp_path / "weights.png"
    plot_task_weights(path, [np.full((9, 2), 1.0)], ["a", "b"], ["uniform"])
    assert image.imread(path).shape[0] > 400
    figure = weights_figure(
        [np.arange(2)], [np.array([[1.0], [1.001]])], ["a"], ["slaw"]
    )
    low, high = figure.axes[0].get_ylim()
    assert high - low == pytest.approx(0.1)
