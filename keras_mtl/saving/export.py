"""SavedModels for serving, which load without this package."""

import contextlib

import keras
import tensorflow as tf

from keras_mtl import compat

# What Keras imports for a format.
PACKAGES = {"onnx": "onnx tf2onnx", "openvino": "openvino"}


def export_saved_model(
    model, filepath, input_signature=None, preprocessing=None, verbose=True
):
    """Writes encoder and heads as a SavedModel.

    Args:
        model: `MultiTaskModel`.
        filepath: Path of the folder to write.
        input_signature: Structure of `keras.InputSpec` or `tf.TensorSpec`;
            needed only where the model does not know its inputs.
        preprocessing: Keras layer from `(B,)` strings to the model's inputs.
            With it, the signatures take strings, named `text`. Or a functional
            model: they take what it takes, by the names of its inputs.
        verbose: Boolean, whether to print the signatures.

    Raises:
        ValueError: If the inputs are not known, or a task's name is taken.
    """
    specs = _named_specs(model, input_signature)
    if not model.built:
        model.build_from_inputs(
            keras.tree.map_structure(
                lambda s: keras.KerasTensor(s.shape, s.dtype.name), specs
            )
        )
    archive = keras.export.ExportArchive()
    for layer in (model.encoder, *model.arrangement.head_layers.values()):
        archive.track(layer)
    served = specs
    if preprocessing is not None:
        if not preprocessing.built:
            preprocessing(tf.constant(["a text"]))
        archive.track(preprocessing)
        served = tf.TensorSpec((None,), tf.string, name="text")
        if getattr(preprocessing, "inputs", None):
            served = _specs(preprocessing.input)

    # A function of its own: the signatures call it, and trace no head again.
    @tf.function(autograph=False, reduce_retracing=True)
    def predict(inputs):
        if preprocessing is not None:
            own = keras.tree.pack_sequence_as(
                served, keras.tree.flatten(inputs)
            )
            inputs = preprocessing(own)
        # TensorFlow wraps a dict; a functional encoder wants the plain one.
        plain = keras.tree.pack_sequence_as(specs, keras.tree.flatten(inputs))
        return model(plain, training=False)

    def serve(inputs):
        return model.arrangement.by_name(predict(inputs))

    archive.add_endpoint("serve", serve, [served])
    for task in model.arrangement.signatures:
        if compat.is_exported_name_taken(archive, task):
            raise ValueError(
                f"The task name {task!r} is taken in a SavedModel. Rename the "
                "task to export the model."
            )

        def serve_task(inputs, task=task):
            own = {task: predict(inputs)[task]}
            return model.arrangement.by_name(own)

        archive.add_endpoint(task, serve_task, [served])
    archive.write_out(filepath, verbose=verbose)


@contextlib.contextmanager
def needed_packages(format):
    """Says what to install where Keras does not find a format's packages."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"The export to the format {format!r} needs a package that is not "
            f"installed. {error}. Try: pip install "
            f"{PACKAGES.get(format, error.name or format)}. Or export a "
            "SavedModel, the default, and convert it elsewhere."
        ) from error


def _named_specs(model, input_signature):
    if input_signature is None:
        input_signature = model.input_structure
    if input_signature is None:
        raise ValueError(
            "export() does not know the model's inputs yet. Call the model on "
            "a batch, or pass input_signature=keras.InputSpec(...)."
        )
    if isinstance(input_signature, list) and len(input_signature) == 1:
        input_signature = input_signature[0]
    return _specs(input_signature)


def _specs(structure, name="inputs"):
    # Keras keeps structures in containers of its own; these are plain ones.
    if isinstance(structure, dict):
        return {key: _specs(part, key) for key, part in structure.items()}
    if isinstance(structure, list | tuple):
        return [_specs(part, name) for part in structure]
    return _spec(structure, name)


def _spec(tensor, name):
    shape = (None, *tensor.shape[1:])
    own = getattr(tensor, "name", None)
    if own and not own.startswith("keras_tensor"):
        name = own
    return tf.TensorSpec(shape, tensor.dtype or "float32", name=name)
