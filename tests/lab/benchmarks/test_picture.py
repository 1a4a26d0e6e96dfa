import numpy as np
from matplotlib import image

from keras_mtl.lab.benchmarks.picture import plot_step_times
from keras_mtl.lab.benchmarks.report import BenchmarkResult, Measurement
from keras_mtl.lab.benchmarks.timing import Spread
from keras_mtl.weighters import CATALOGUE


def result(num_tasks):
    rows = [
        Measurement(
            name=name,
            ratio=Spread(ratio, 0.9 * ratio, 1.1 * ratio),
            step_seconds=0.02 * ratio,
            first_step_seconds=1.0,
            steps_per_block=4,
            least_ratio=None,
            reduced_bytes=None,
            peak_memory=None,
        )
        for index, name in enumerate(CATALOGUE)
        for ratio in [1.0 + index * num_tasks / 20]
    ]
    return BenchmarkResult("mlp", num_tasks, 10, 8, True, "wall", 2, rows, None)


def test_a_picture_is_written_and_not_empty(tmp_path):
    path = tmp_path / "steps.png"
    plot_step_times(path, [result(2), result(8), result(32)])
    pixels = image.imread(path)
    assert pixels.shape[0] > 500
    # A colour for each of the first six rows, besides black and white.
    colours = {
        tuple(p) for p in np.round(pixels[::2, ::2, :3], 1).reshape(-1, 3)
    }
    assert len(colours) > 8
