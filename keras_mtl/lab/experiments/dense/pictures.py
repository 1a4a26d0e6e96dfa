"""Pictures beside what is true of their pixels, and what a model says."""

import numpy as np
import tensorflow as tf

COUNT = 4
GAP = 4
# Metres that are drawn lightest.
FAR = 6.0
# Of dark to light, each a third further on.
DEPTH_COLOURS = np.array(
    [(48, 18, 82), (49, 104, 142), (53, 183, 121), (253, 231, 37)], float
)
CLASS_COLOURS = np.array(
    [
        *((31, 119, 180), (174, 199, 232), (255, 187, 120), (255, 127, 14)),
        *((140, 86, 75), (148, 103, 189), (214, 39, 40), (227, 119, 194)),
        *((44, 160, 44), (188, 189, 34), (23, 190, 207), (199, 199, 199)),
        (152, 223, 138),
    ],
    "uint8",
)


def write(path, model, data):
    """Writes a PNG file: a row for each of some pictures, spread over a set.

    A row is the picture, then of each task what is true and what is predicted;
    black where nothing is known.

    Args:
        path: Path.
        model: `MultiTaskModel`.
        data: `(x, y, sample_weight)`, as `load_nyuv2` has it.
    """
    x, y, present = data
    rows = np.linspace(0, len(x) - 1, min(COUNT, len(x))).astype(int)
    found = model.predict_on_batch(x[rows])
    columns = [x[rows]]
    for task, labels in y.items():
        truth = coloured(task, labels[rows])
        columns.append(np.where(present[task][rows][..., None], truth, 0))
        columns.append(coloured(task, found[task]))
    picture = _joined(
        [_joined([*row], 1) for row in zip(*columns, strict=True)], 0
    )
    path.write_bytes(tf.io.encode_png(picture).numpy())


def coloured(task, values):
    """Returns `(n, H, W, 3)` uint8 colours of labels, or of predictions.

    Args:
        task: `"segmentation"`, `"depth"` or `"normals"`.
        values: `(n, H, W)` classes or `(n, H, W, C)` logits; `(n, H, W, 1)`
            metres; `(n, H, W, 3)` unit vectors.
    """
    if task == "segmentation":
        classes = values.argmax(-1) if values.ndim == 4 else values
        return CLASS_COLOURS[classes]
    if task == "depth":
        at = np.clip(values[..., 0] / FAR, 0.0, 1.0)
        places = np.linspace(0.0, 1.0, len(DEPTH_COLOURS))
        bands = [np.interp(at, places, band) for band in DEPTH_COLOURS.T]
        return np.rint(np.stack(bands, axis=-1)).astype("uint8")
    # Towards the viewer is light blue, as such pictures often are.
    towards = values * [1.0, -1.0, -1.0]
    return np.rint(127.5 * (1.0 + np.clip(towards, -1, 1))).astype("uint8")


def _joined(pictures, axis):
    """Returns pictures side by side, with white between them."""
    shape = list(pictures[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, "uint8")
    parts = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate(parts[1:], axis=axis)
