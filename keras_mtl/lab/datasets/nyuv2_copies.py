"""The copies of NYUv2 that are in use, read into one form."""

import contextlib
import hashlib
import os
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_mtl.lab.datasets.array_files import (
    UNREADABLE,
    read_array,
    read_arrays,
    reading,
)
from keras_mtl.lab.datasets.depth_normals import Camera, derive_normals

# Of the labelled pictures, 640 x 480.
CAMERA = Camera(fx=518.86, fy=519.47, cx=325.58, cy=253.74)
# Depth of the `.npz` copy, per metre.
PER_METRE = 25.5
# White frame of the pictures there.
RIM = 2
CEILING = 2
NUM_CLASSES = 13
NAMES = ("rgb", "depth", "label13", "train_idx", "test_idx")
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
    arrays = read_arrays(path, NAMES)
    _check_arrays(path, arrays)
    images, steps, classes, *rows = (arrays[name] for name in NAMES)
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


def _check_arrays(path, arrays):
    """Raises if arrays of a `.npz` copy do not go together."""
    shape, size = arrays["rgb"].shape, arrays["rgb"].shape[:3]
    found = {name: array.shape for name, array in arrays.items()}
    if (len(shape), shape[-1:]) != (4, (3,)) or not (
        found["depth"] == found["label13"] == size
    ):
        raise ValueError(
            f"The arrays of '{path}' do not go together. Expected: rgb (n, H, "
            f"W, 3), depth and label13 (n, H, W). Received: {found}"
        )
    train, test = arrays["train_idx"], arrays["test_idx"]
    rows = np.concatenate([np.ravel(train), np.ravel(test)])
    whole = np.issubdtype(rows.dtype, np.integer) and train.size and test.size
    if not whole or rows.min() < 0 or rows.max() >= len(arrays["rgb"]):
        raise ValueError(
            f"The rows train_idx and test_idx of '{path}' must be numbers of "
            f"some of its {len(arrays['rgb'])} pictures. Received: {train} and "
            f"{test}"
        )
    both = np.intersect1d(train, test)
    if both.size:
        raise ValueError(
            f"Pictures of '{path}' are to train and to test on: {both}"
        )
    classes = arrays["label13"]
    if classes.min() < 0 or classes.max() > NUM_CLASSES:
        raise ValueError(
            f"Labels of '{path}' must be from 0, void, to {NUM_CLASSES}. "
            f"Received: from {classes.min()} to {classes.max()}"
        )


def from_arrays(folder):
    """Returns the `Pictures` of a folder of MTAN's and LibMTL's copy."""
    files = sorted((folder / "image").glob("*.npy"), key=_number)
    parts = ("image", "label", "depth", "normal")
    rows = [[_array(folder / part / f.name) for part in parts] for f in files]
    if not rows:
        raise ValueError(f"'{folder / 'image'}' has no .npy files.")
    shapes = {tuple(array.shape for array in row) for row in rows}
    if len(shapes) > 1:
        raise ValueError(
            f"The pictures in '{folder}' differ in shape. Received: {shapes}"
        )
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
        existing = _existing(path)
        with reading(path):
            content = tf.io.read_file(existing)
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
    rounded = None
    if kept.exists():
        # Else they are derived anew.
        with contextlib.suppress(*UNREADABLE):
            rounded = np.load(kept, allow_pickle=False)
    if rounded is None:
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


def _number(path):
    if not path.stem.isdigit():
        raise ValueError(
            f"The files of a copy of NYUv2 are 0.npy, 1.npy, ... Received: "
            f"'{path}'"
        )
    return int(path.stem)


def _array(path):
    return read_array(_existing(path))


def _existing(path):
    if not path.is_file():
        raise ValueError(f"The copy of NYUv2 is not whole: '{path}' is missing")
    return str(path)
