"""NYUv2: what and how far everything in 1,449 rooms is, and how it lies."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_mtl.lab.datasets import nyuv2_copies as copies

TASKS = ("segmentation", "depth", "normals")
CLASSES = (
    *("bed", "books", "ceiling", "chair", "floor", "furniture", "objects"),
    *("picture", "sofa", "table", "tv", "wall", "window"),
)


class NYUv2(NamedTuple):
    """Pictures of rooms, with what each pixel shows.

    Example:

    >>> data = load_nyuv2("nyuv2_96x128.npz")
    >>> pictures, labels, has_label = data.train

    Attributes:
        train: `(x, y, sample_weight)`. `x` is `(n, H, W, 3)` uint8, the
            pictures. `y["segmentation"]` is `(n, H, W)` int32, positions in
            `CLASSES`; `y["depth"]` `(n, H, W, 1)` float32, metres;
            `y["normals"]` `(n, H, W, 3)` float32, unit vectors. The weights
            are `(n, H, W)` booleans by task, whether a pixel has a label; the
            label of one that has none is 0.
        test: The same, of the official test pictures.
        derived: Boolean, whether the normals are derived from the depth,
            since the copy has none.
    """

    train: tuple
    test: tuple
    derived: bool


def load_nyuv2(path, size=None) -> NYUv2:
    """Reads one of three copies of the data set.

    - A `.npz` file of `rgb` `(n, H, W, 3)` uint8, `depth` `(n, H, W)` uint8,
      25.5 of which are a metre, `label13` `(n, H, W)`, 0 for void and then
      `CLASSES`, and the rows `train_idx` and `test_idx`. It has no normals:
      they are derived from the depth, which takes two minutes, once. Those of
      ceilings, where sensors saw little, are left out; so is a rim of two
      pixels.
    - The folder that MTAN and LibMTL use: `train` and `val`, in each `image`,
      `label`, `depth` and `normal` with files `0.npy`, `1.npy`, ...
    - The folder that SLAW uses: `train_rgb`, `train_seg13`, `train_depth`,
      `train_sn` and the same of `test`, pictures of 640 x 480 which `size`
      scales. Its normals are Ladický's, read as vectors.

    Example:

    >>> data = load_nyuv2("nyuv2_96x128.npz")
    >>> x, y, sample_weight = data.train

    Args:
        path: String or Path, a file or folder.
        size: Pair of integers, height and width of pictures that are to be
            scaled; SLAW's 120 x 160 by default. Of SLAW's copy only.

    Raises:
        ValueError: If there is no such copy, or a part of it is missing.

    Reference:
        - [Silberman et al., 2012](
          https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html)
        - [Liu et al., 2019](https://arxiv.org/abs/1803.10704), MTAN's copy
    """
    path = Path(path)
    scaled = (path / "train_rgb").is_dir()
    if size is not None and not scaled:
        raise ValueError(
            "Argument `size` scales pictures of 640 x 480, in the folder that "
            f"SLAW uses. Received: size={size!r} for '{path}'. Leave it out."
        )
    if path.suffix == ".npz" and path.is_file():
        train, test = copies.from_npz(path)
    elif (path / "train" / "image").is_dir():
        train, test = (copies.from_arrays(path / s) for s in ("train", "val"))
    elif scaled:
        train, test = (
            copies.from_pictures(path, s, size or (120, 160))
            for s in ("train", "test")
        )
    else:
        raise ValueError(
            f"'{path}' is no copy of NYUv2. Expected: a .npz file, a folder "
            "with 'train/image', or one with 'train_rgb'."
        )
    return NYUv2(_examples(train), _examples(test), path.suffix == ".npz")


def _examples(found):
    """Returns `(x, y, sample_weight)` of `copies.Pictures`."""
    labelled = (found.segmentation >= 0) & (found.segmentation < len(CLASSES))
    y = {
        "segmentation": np.where(labelled, found.segmentation, 0),
        "depth": found.depth[..., None],
        "normals": found.normals,
    }
    present = {
        "segmentation": labelled,
        "depth": found.depth > 0.0,
        "normals": np.any(found.normals != 0.0, axis=-1),
    }
    return found.images, y, present
