import numpy as np
import tensorflow as tf

from keras_mtl.lab.experiments.dense.augmentation import (
    SCALES,
    scaled_and_flipped,
)

COUNT, HEIGHT, WIDTH = 60, 8, 24


def batch():
    """Every tensor tells which column of the picture a pixel was in."""
    columns = np.broadcast_to(np.arange(WIDTH), (COUNT, HEIGHT, WIDTH))
    x = np.repeat(columns[..., None] * 10, 3, axis=-1).astype("uint8")
    normals = np.broadcast_to([0.6, 0.0, -0.8], (*columns.shape, 3))
    y = {
        "segmentation": columns.astype("int32"),
        "depth": (columns + 1.0)[..., None].astype("float32"),
        "normals": normals.astype("float32"),
    }
    return tf.nest.map_structure(
        tf.constant, (x, y, {"normals": columns % 2 == 0})
    )


def test_all_that_is_known_of_a_pixel_moves_with_it():
    given = batch()
    # In the graph of `tf.data`, as an experiment calls it.
    x, y, weights = tf.function(scaled_and_flipped)(given, tf.constant([3, 4]))
    for mine, theirs in zip(
        tf.nest.flatten((x, y, weights)), tf.nest.flatten(given), strict=True
    ):
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
    columns = y["segmentation"].numpy()
    np.testing.assert_array_equal(weights["normals"], columns % 2 == 0)
    # Between two columns a picture has their mean, labels one of them.
    assert np.abs(x.numpy().astype(int) - 10 * columns[..., None]).max() <= 6
    scale = (columns + 1.0) / y["depth"].numpy()[..., 0]
    np.testing.assert_allclose(
        scale, scale[:, :1, :1] * np.ones_like(scale), 1e-5
    )
    scale = scale[:, 0, 0]
    nearest = min(SCALES, key=lambda s: abs(s - scale[0]))
    assert {*np.round(scale, 4)} == {*SCALES}, nearest
    seen = columns[:, 0, -1] - columns[:, 0, 0]
    np.testing.assert_allclose(np.abs(seen), (WIDTH - 1) / scale, atol=1.0)
    flipped = seen < 0
    assert 0.2 < flipped.mean() < 0.8
    signs = np.where(flipped, -0.6, 0.6)[:, None, None]
    normals = y["normals"].numpy()
    np.testing.assert_allclose(normals[..., 0], signs * np.ones_like(columns))
    np.testing.assert_allclose(normals[..., 2], -0.8)


def test_the_seed_decides():
    first, again, other = (
        scaled_and_flipped(batch(), tf.constant(seed))[0].numpy()
        for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
