"""Batches made in Python: `PyDataset`, generators, `DataLoader`."""

import keras
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.data.support_query import SupportQuery


def makes_batches(data) -> bool:
    """Whether `data` are batches made in Python, neither arrays nor tf.data."""
    return (
        isinstance(data, keras.utils.PyDataset | compat.DataAdapter)
        or hasattr(data, "__next__")
        or compat.is_torch_dataloader(data)
        or compat.is_grain_dataset(data)
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
    adapter = compat.get_data_adapter(data)
    dataset = adapter.get_tf_dataset()
    if adapter.num_batches is not None:
        counted = tf.data.experimental.assert_cardinality(adapter.num_batches)
        dataset = dataset.apply(counted)
    return dataset


class MappedBatches(compat.DataAdapter):
    """Batches made in Python that pass through a `tf.data.Dataset`.

    Workers and `on_epoch_end` of a `PyDataset` are those of Keras.

    Args:
        source: `PyDataset`, generator, loader, or `DataAdapter`.
        function: Function from a data set to another of the same length.
        shuffle: Boolean, whether Keras is to shuffle the batches.
    """

    def __init__(self, source, function, shuffle):
        self._source = compat.get_data_adapter(source, shuffle=shuffle)
        self._function = function

    def get_tf_dataset(self):
        """Returns the data set."""
        return self._function(self._source.get_tf_dataset())

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
        """Tells the source that an epoch begins."""
        self._source.on_epoch_begin()

    def on_epoch_end(self):
        """Tells the source that an epoch is over."""
        self._source.on_epoch_end()

    @property
    def num_batches(self):
        """Number of batches, `None` where it is not known."""
        return self._source.num_batches

    @property
    def batch_size(self):
        """Not known."""
        return None


def with_query(support, query, shuffle) -> MappedBatches:
    """Returns batches made in Python, each with a query batch beside it.

    The query batches go on from one epoch to the next.

    Args:
        support: `PyDataset`, generator, loader, or `DataAdapter`.
        query: `tf.data.Dataset` of batches, not empty.
        shuffle: Boolean, whether Keras is to shuffle the support batches.
    """
    batches = iter(query.repeat())
    beside = tf.data.Dataset.from_generator(
        lambda: batches, output_signature=query.element_spec
    )
    return MappedBatches(
        support,
        lambda data: tf.data.Dataset.zip(SupportQuery(data, beside)),
        shuffle,
    )
