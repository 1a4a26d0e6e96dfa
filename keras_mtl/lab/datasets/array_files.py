"""Arrays from files, with errors that name the file."""

import contextlib
import zipfile
import zlib
from pathlib import Path

import numpy as np
import tensorflow as tf

UNREADABLE = (
    EOFError,
    OSError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    tf.errors.OpError,
)


@contextlib.contextmanager
def reading(path):
    """Turns what goes wrong while a file is read into a `ValueError`.

    Args:
        path: String or Path.
    """
    try:
        yield
    except UNREADABLE as error:
        # NumPy takes what is no array for a pickle, and advises to load it.
        reason = str(error)
        if "pickle" in reason:
            reason = "it does not hold arrays of numbers"
        raise ValueError(
            f"'{path}' is damaged or of another kind: {reason}. Fetch it again."
        ) from error


def read_array(path) -> np.ndarray:
    """Returns the array of a `.npy` file."""
    with reading(path):
        return np.load(path, allow_pickle=False)


def read_arrays(path, names=None) -> dict:
    """Returns arrays of a `.npz` file.

    Args:
        path: String or Path.
        names: List of strings; `None` for all.

    Raises:
        ValueError: If it cannot be read, or has none of a name.
    """
    with reading(path):
        if not zipfile.is_zipfile(path):
            size = Path(path).stat().st_size
            raise ValueError(f"no zip archive, of {size:,} bytes")
        with np.load(path, allow_pickle=False) as file:
            found = file.files
            missing = [name for name in names or () if name not in found]
            if not missing:
                return {name: file[name] for name in names or found}
    raise ValueError(f"'{path}' has no {missing}. Arrays: {found}")
