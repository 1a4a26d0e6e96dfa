"""Loaders of other libraries: PyTorch's and grain's."""

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import compat


def is_loader(data) -> bool:
    """Whether `data` is a PyTorch `DataLoader` or grain's data."""
    return compat.is_torch_dataloader(data) or compat.is_grain_dataset(data)


def arrays_of(loader):
    """Yields the batches of a loader, from the first, with NumPy arrays."""
    for batch in loader:
        yield keras.tree.map_structure(_as_array, batch)


class LoadedBatches(compat.DataAdapter):
    """Batches of a loader, each of which passes through a function.

    Keras would give all of them the structure of the first two.

    Args:
        loader: PyTorch `DataLoader` or grain's data, read anew in each epoch.
        complete: Function from a batch to one whose structure is always the
            same.
        first: List of the first batches, which tell shapes and types.
    """

    def __init__(self, loader, complete, first):
        self._loader, self._complete = loader, complete
        self._specification = compat.get_tensor_spec(
            [self._completed(batch) for batch in first]
        )

    def get_tf_dataset(self):
        """Returns the data set."""
        return tf.data.Dataset.from_generator(
            lambda: map(self._completed, arrays_of(self._loader)),
            output_signature=self._specification,
        )

    def _completed(self, batch):
        # What Python makes for TensorFlow has no lists.
        return keras.tree.lists_to_tuples(self._complete(batch))

    @property
    def num_batches(self):
        """Number of batches, `None` where it is not known."""
        # Of grain's data, which may be infinite, Keras asks no number.
        if not compat.is_torch_dataloader(self._loader):
            return None
        countable = hasattr(self._loader.dataset, "__len__")
        return len(self._loader) if countable else None

    @property
    def batch_size(self):
        """Not known."""
        return None


def _as_array(leaf):
    if leaf is None:
        return None
    return np.asarray(leaf.cpu() if hasattr(leaf, "cpu") else leaf)
