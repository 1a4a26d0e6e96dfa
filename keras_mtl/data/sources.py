"""Batches that come from Python: `PyDataset`, generators, loaders of others."""

import keras
import tensorflow as tf
from keras.src.trainers.data_adapters import (
    get_data_adapter,
    is_grain_dataset,
    is_torch_dataloader,
)
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from keras_mtl.data.support_query import SupportQuery


def makes_batches(data) -> bool:
    """Whether `data` are batches made in Python, neither arrays nor tf.data."""
    return (
        isinstance(data, keras.utils.PyDataset)
        or hasattr(data, "__next__")
        or is_torch_dataloader(data)
        or is_grain_dataset(data)
    )


def can_shuffle(data) -> bool:
    """Whether Keras shuffles `data`; it warns where it is asked and cannot."""
    if isinstance(data, keras.utils.PyDataset):
        return data.num_batches is not None
    return not (isinstance(data, tf.data.Dataset) or makes_batches(data))


def as_dataset(data) -> tf.data.Dataset:
    """Returns batches made in Python as a `tf.data.Dataset`, Keras' way."""
    if not makes_batches(data):
        return data
    adapter = get_data_adapter(data)
    dataset = adapter.get_tf_dataset()
    if adapter.num_batches is not None:
        counted = tf.data.experimental.assert_cardinality(adapter.num_batches)
        dataset = dataset.apply(counted)
    return dataset


class SupportQueryAdapter(DataAdapter):
    """Batches made in Python, each with a query batch beside it.

    Workers and `on_epoch_end` of a `PyDataset` are those of Keras. The query
    batches go on from one epoch to the next.

    Args:
        support: `PyDataset`, generator or loader.
        query: `tf.data.Dataset` of batches, not empty.
        shuffle: Boolean, whether Keras is to shuffle the support batches.
    """

    def __init__(self, support, query, shuffle):
        self._support = get_data_adapter(support, shuffle=shuffle)
        batches = iter(query.repeat())
        self._query = tf.data.Dataset.from_generator(
            lambda: batches, output_signature=query.element_spec
        )

    def get_tf_dataset(self):
        """Returns the data set of `SupportQuery` elements."""
        support = self._support.get_tf_dataset()
        return tf.data.Dataset.zip(SupportQuery(support, self._query))

    def get_numpy_iterator(self):
        """Returns an iterator over the same as arrays."""
        return self.get_tf_dataset().as_numpy_iterator()

    def get_jax_iterator(self):
        """Returns an iterator over the same as arrays."""
        return self.get_numpy_iterator()

    def get_torch_dataloader(self):
        """Returns an iterator over the same as arrays."""
        return self.get_numpy_iterator()

    def on_epoch_begin(self):
        """Tells the support data that an epoch begins."""
        self._support.on_epoch_begin()

    def on_epoch_end(self):
        """Tells the support data that an epoch is over."""
        self._support.on_epoch_end()

    @property
    def num_batches(self):
        """Number of support batches, `None` where it is not known."""
        return self._support.num_batches

    @property
    def batch_size(self):
        """Not known."""
        return None
