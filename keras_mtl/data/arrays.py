"""Nested inputs as nested NumPy arrays."""

from typing import Any

import keras
import numpy as np


def as_arrays(tree) -> Any:
    """Returns a structure of inputs with NumPy arrays for leaves.

    Dicts and tuples are structure, as in `Model.fit`, and so is a list of
    arrays. A flat list (of texts, say) is one array.

    Args:
        tree: Array or tensor, or a nested dict, tuple or list of such.

    Returns:
        The same structure with arrays.
    """
    if isinstance(tree, dict):
        return {key: as_arrays(value) for key, value in tree.items()}
    if isinstance(tree, list) and not any(np.ndim(item) for item in tree):
        return np.asarray(tree)
    if type(tree) in (list, tuple):
        return type(tree)(as_arrays(item) for item in tree)
    return keras.tree.map_structure(np.asarray, tree)
