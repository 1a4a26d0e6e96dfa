"""The leaves of a batch as tensors, with values or symbolic."""

import keras
import tensorflow as tf

from keras_mtl import compat


def symbolic(leaf):
    """Returns the `KerasTensor` of a tensor, array or specification."""
    # TensorFlow's specification of None has no type.
    if leaf is None or not hasattr(leaf, "dtype"):
        return None
    shape = leaf.shape if hasattr(leaf, "shape") else ()
    ragged = isinstance(leaf, tf.RaggedTensor | tf.RaggedTensorSpec)
    sparse = isinstance(leaf, tf.SparseTensor | tf.SparseTensorSpec)
    kind = {"ragged": ragged} if ragged else {"sparse": sparse}
    dtype = keras.backend.standardize_dtype(leaf.dtype)
    return keras.KerasTensor(shape, dtype, **kind)


def form(model, inputs) -> str:
    """Returns what a model's outputs are alike for, whatever the batch.

    Structure, types and sizes of rows of the inputs, and which layers there
    are, built or not; but the weighter's, which comes and goes.

    Args:
        model: A `MultiTaskModel`.
        inputs: Structure of `keras.KerasTensor`.
    """

    def of(leaf):
        if leaf is None:
            return "None"
        kind = "".join(k for k in ("ragged", "sparse") if getattr(leaf, k, 0))
        return f"{kind}{leaf.dtype}{list(leaf.shape[1:])}"

    weighter = model.weighter
    own = [] if weighter is None else compat.layers_within(weighter)
    passed = {id(layer) for layer in [model, *own]}
    layers = [
        (id(layer), layer.built)
        for layer in compat.layers_within(model)
        if id(layer) not in passed
    ]
    return f"{keras.tree.map_structure(of, inputs)} {layers}"


def as_tensor(leaf):
    """Returns a tensor; ragged and sparse ones and `None` as they are."""
    if leaf is None or isinstance(leaf, tf.RaggedTensor | tf.SparseTensor):
        return leaf
    return tf.convert_to_tensor(leaf)
