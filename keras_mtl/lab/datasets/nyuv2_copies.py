"""The copies of NYUv2 that are in use, read into one form."""

import hashlib
import os
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_mtl.lab.datasets.depth_normals import Camera, derive_normals

# Of the labelled pictures, 640 x 480.
CAMERA = Camera(fx=518.86, fy=519.47, cx=325.58, cy=253.74)
# Depth of the `.npz` copy, per metre.
PER_METRE = 25.5
# White frame of the pictures there.
RIM = 2
CEILING = 2
# Of the derived normals that are kept; another way needs another number.
DERIVATION = 1


class Pictures(NamedTuple):
    """Pictures and labels of one set.

    Attributes:
        images: `(n, H, W, 3)` uint8.
        segmentation: `(n, H, W)` int32, classes from 0 on; -1 for none.
        depth: `(n, H, W)` float32, metres; 0 for none.
        normals: `(n, H, W, 3)` float32 unit vectors; 0 for none.
    """

    images: np.ndarray
    segmentation: np.ndarray
    depth: np.ndarray
    normals: np.ndarray


def from_npz(path):
    """Returns the `Pictures` to train and to test on."""
    names = ("rgb", "depth", "label13", "train_idx", "test_idx")
    with np.load(path, allow_pickle=False) as file:
        missing = [name for name in names if name not in file.files]
        if missing:
            raise ValueError(
                f"'{path}' is no copy of NYUv2: it has no {missing}. "
                f"Arrays: {file.files}"
            )
        images, steps, classes, *rows = (file[name] for name in names)
    depth = steps.astype("float32") / PER_METRE
    segmentation = classes.astype("int32") - 1
    normals = _kept_normals(steps)
    inner = np.zeros(depth.shape[1:], bool)
    inner[RIM:-RIM, RIM:-RIM] = True
    depth *= inner
    normals *= inner[..., None]
    normals[segmentation == CEILING] = 0.0
    every = images, segmentation, depth, normals
    return [Pictures(*(part[taken] for part in every)) for taken in rows]


def from_arrays(folder):
    """Returns the `Pictures` of a folder of MTAN's and LibMTL's copy."""
    files = sorted((folder / "image").glob("*.npy"), key=lambda f: int(f.stem))
    parts = ("image", "label", "depth", "normal")
    rows = [[_array(folder / part / f.name) for part in parts] for f in files]
    if not rows:
        raise ValueError(f"'{folder / 'image'}' has no .npy files.")
    images, labels, depth, normals = map(np.stack, zip(*rows, strict=True))
    return Pictures(
        np.rint(255.0 * images).astype("uint8"),
        labels.astype("int32"),
        depth.reshape(labels.shape).astype("float32"),
        normals.astype("float32"),
    )


def from_pictures(folder, name, size):
    """Returns the `Pictures` of a set of SLAW's copy, scaled.

    Args:
        folder: Path.
        name: `"train"` or `"test"`.
        size: `(height, width)`.
    """
    paths = sorted((folder / f"{name}_rgb").glob("*.png"))
    if not paths:
        raise ValueError(f"'{folder / f'{name}_rgb'}' has no .png files.")

    def read(part, file, dtype, method):
        path = folder / f"{name}_{part}" / file.name
        content = tf.io.read_file(_existing(path))
        picture = tf.io.decode_png(content, dtype=dtype)
        smooth = {"antialias": True} if method == "bilinear" else {}
        return tf.image.resize(picture, size, method, **smooth).numpy()

    sets = [
        (
            read("rgb", file, "uint8", "bilinear"),
            read("seg13", file, "uint8", "nearest")[..., 0],
            read("depth", file, "uint16", "nearest")[..., 0],
            read("sn", file, "uint8", "nearest"),
        )
        for file in paths
    ]
    images, classes, depth, colours = map(np.stack, zip(*sets, strict=True))
    # Colours are blue, green, red for x, y, z, and turned around.
    normals = 1.0 - 2.0 * colours[..., ::-1] / 255.0
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = np.where(length > 0.1, normals / np.maximum(length, 0.1), 0.0)
    return Pictures(
        np.rint(images).astype("uint8"),
        classes.astype("int32") - 1,
        (depth / 1e4).astype("float32"),
        normals.astype("float32"),
    )


def _kept_normals(steps):
    """Returns normals of whole pictures, derived by an earlier call or now.

    Args:
        steps: `(n, H, W)` integers, `PER_METRE` of which are a metre.
    """
    home = os.environ.get("KERAS_HOME", Path.home() / ".keras")
    digest = hashlib.sha256(steps.tobytes()).hexdigest()[:16]
    name = f"derived_normals_{digest}_{DERIVATION}.npy"
    kept = Path(home) / "keras_mtl" / "nyuv2" / name
    if kept.exists():
        rounded = np.load(kept, allow_pickle=False)
    else:
        print(
            f"Deriving the normals of {len(steps):,} pictures from their "
            f"depth, once; then they are in '{kept}'.",
            file=sys.stderr,
        )
        height, width = steps.shape[1:]
        camera = CAMERA.scaled(width / 640.0, height / 480.0)
        step = 1.0 / PER_METRE
        normals = [derive_normals(z * step, camera, step)[0] for z in steps]
        rounded = np.rint(127.0 * np.stack(normals)).astype("int8")
        _keep(kept, rounded)
    normals = rounded.astype("float32")
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return normals / np.maximum(length, 1.0)


def _keep(path, array):
    """Writes an array, whole or not at all."""
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        partial.replace(path)
    except OSError as error:
        warnings.warn(
            f"The derived normals are not kept for later runs: '{path}' cannot "
            f"be written: {error.strerror}. Set KERAS_HOME to a folder that "
            "can.",
            stacklevel=2,
        )


def _array(path):
    return np.load(_existing(path), allow_pickle=False)


def _existing(path):
    if not path.is_file():
        raise ValueError(f"The copy of NYUv2 is not whole: '{path}' is missing")
    return str(path)
