"""One model with many tasks, whose weights are learned while it trains."""

import keras
import numpy as np

from keras_mtl import random_state
from keras_mtl.architectures.fitting import check_discriminator, check_encoder
from keras_mtl.architectures.task_encoder import TaskEncoder
from keras_mtl.arrangements import arrangement
from keras_mtl.checks import fitting
from keras_mtl.export import export_saved_model
from keras_mtl.layers.select import Select
from keras_mtl.layers.stacked_heads import StackedHeads
from keras_mtl.separate import are_separate, encode_rows, own_leaves
from keras_mtl.trainer import TaskTrainer


@keras.saving.register_keras_serializable(package="keras_mtl")
class MultiTaskModel(TaskTrainer):
    """An encoder shared by many tasks, with a head for each.

    Inputs are shared, or separate: a dict from task name to inputs, whose rows
    reach only their own head. Labels, losses, metrics and sample weights are
    dicts by task name; with `StackedHeads`, one array or loss, and rows of
    their own are one table, `{"inputs": ..., "task": ids}`.

    Example:

    >>> model = MultiTaskModel(encoder, {"topic": head, "tone": other_head})
    >>> model.compile(
    ...     "adam",
    ...     loss={"topic": "mse", "tone": "binary_crossentropy"},
    ...     weighter="slaw",
    ... )
    >>> model.fit(x, {"topic": y1, "tone": y2}, epochs=5)
    >>> model.task_weights
    {'topic': 1.08, 'tone': 0.92}

    Args:
        encoder: Layer or model, inputs -> representation.
        heads: Dict from task name to layer or model, representation ->
            prediction. Or `keras_mtl.layers.StackedHeads`.
        representation_known: Boolean. Whether the encoder's output is the
            representation; `from_functional` sets it.
        discriminator: `keras_mtl.architectures.TaskDiscriminator` to train
            the shared features against, or `None`. Tasks then need inputs of
            their own.
        separate_inputs: Boolean. Whether a dict of inputs holds each task's
            own, by its name, or the encoder takes it. By default, names tell.

    Raises:
        ValueError: If there is no head, or a name or layer is not usable.
    """

    def __init__(
        self,
        encoder,
        heads,
        representation_known=True,
        discriminator=None,
        separate_inputs=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.separate_inputs = separate_inputs
        self.arrangement = arrangement(heads)
        if not isinstance(encoder, keras.layers.Layer):
            raise ValueError(
                "Argument `encoder` must be a Keras layer or model. Received: "
                f"encoder={encoder!r} (of type {type(encoder).__name__})"
            )
        self.encoder = encoder
        self.output_names = self.arrangement.output_names
        self.has_task_encoder = isinstance(encoder, TaskEncoder)
        # One in common, that is.
        self.representation_known = (
            representation_known and not self.has_task_encoder
        )
        # Attributes are saved by name, a dict by position. In sorted order,
        # the optimizer's variables do not depend on the order of the heads.
        layers = self.arrangement.head_layers
        for name in sorted(layers):
            setattr(self, f"head_{name}", layers[name])
        self.discriminator = discriminator
        check_encoder(self)
        check_discriminator(self)
        if encoder.built and getattr(encoder, "inputs", None):
            sequential = isinstance(encoder, keras.Sequential)
            self.build_from_inputs(
                encoder.inputs[0] if sequential else encoder.input
            )

    @classmethod
    def from_functional(cls, model, representation=None, **kwargs):
        """Makes a multi-task model of a functional one with named outputs.

        Layers and weights are shared with `model`.

        Args:
            model: Functional Keras model whose output is a dict by task name.
            representation: String, name of the layer whose output all heads
                start from. Without it, no weighter can read gradients at the
                representation.
            **kwargs: Passed to the constructor.

        Returns:
            A `MultiTaskModel`.

        Raises:
            ValueError: If outputs are no dict, the layer does not exist, or a
                head has another path to the inputs.
        """
        outputs = getattr(model, "output", None)
        if not isinstance(outputs, dict):
            raise ValueError(
                "from_functional() needs a functional model whose outputs are "
                "a dict from task name to tensor. Received outputs: "
                f"{outputs!r}"
            )
        if representation is None:
            heads = {
                task: Select(task, name=f"select_{task}") for task in outputs
            }
            return cls(model, heads, representation_known=False, **kwargs)
        middle = model.get_layer(representation).output
        encoder = keras.Model(model.input, middle)
        heads = {}
        for task, output in outputs.items():
            try:
                heads[task] = keras.Model(middle, output)
            except ValueError as error:
                raise ValueError(
                    f"The output {task!r} does not follow from layer "
                    f"{representation!r} alone. Name a layer that all outputs "
                    "pass through."
                ) from error
        return cls(encoder, heads, **kwargs)

    @property
    def heads(self) -> dict[str, keras.layers.Layer] | StackedHeads:
        """Dict from task name to head, or the `StackedHeads`."""
        return self.arrangement.heads

    def has_common_representation(self, inputs) -> bool:
        """Whether all tasks read one representation of these inputs."""
        if self.has_task_encoder or self.is_separate(inputs):
            return False
        return self.arrangement.owners(inputs) is None

    def is_separate(self, inputs) -> bool:
        """Whether `inputs` are a dict by task name."""
        return self.arrangement.can_separate and are_separate(
            inputs, self.output_names, self.encoder, self.separate_inputs
        )

    def call(
        self, inputs, training=None, return_representation=False, apart=False
    ):
        """Returns a dict from task name to prediction, or all stacked.

        Args:
            inputs: Inputs of the encoder, or a dict of them by task name; or
                `{"inputs": ..., "task": ids}`, of stacked heads, whose
                predictions `(B, units)` are each row's own.
            training: Boolean, passed to the layers.
            return_representation: Boolean. If true, returns predictions, the
                encoder's output, and a dict from task to its shared features.
            apart: Boolean. Whether separate inputs may pass task by task, so
                that a task's gradient costs its own rows only.
        """
        parts = shared = None
        inputs, task = self.arrangement.take_ids(inputs)
        if self.has_task_encoder:
            returns = {"return_shared": self.discriminator is not None}
            by_task = self.arrangement.is_by_task(inputs)
            if by_task and not self.is_separate(inputs):
                inputs = dict.fromkeys(self.output_names, inputs)
            parts = self.encoder(
                inputs,
                training=training,
                apart=apart,
                **(returns if self.encoder.shares_features else {}),
            )
            if self.discriminator is not None:
                parts, shared = parts
            representation = parts
        elif self.is_separate(inputs):
            representation, parts = encode_rows(
                self.encoder, inputs, training, apart
            )
        else:
            representation = self.encoder(inputs, training=training)
            if return_representation:
                representation = own_leaves(representation)
        if parts is None:
            outputs = self.arrangement.predict(representation, training, task)
            parts = dict.fromkeys(self.output_names, representation)
        else:
            outputs = {
                task: self.heads[task](parts[task], training=training)
                for task in self.output_names
                if task in parts
            }
        shared = shared or parts
        if self.discriminator is not None and not self.discriminator.built:
            self.discriminator.build_for(next(iter(shared.values())))
        if return_representation:
            return outputs, representation, shared
        return outputs

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """Writes a SavedModel for serving, without the weighter.

        `serve` (also the default signature) returns all predictions by task
        name, and a signature of each task's name returns that task's alone;
        stacked heads have no such signatures. Inputs keep their names; with
        `preprocessing`, all signatures take strings named `text` instead.

        Args:
            filepath: Path of the folder to write.
            format: `"tf_saved_model"`, or another of `keras.Model.export`.
            **kwargs: `input_signature`, structure of `keras.InputSpec`, for a
                model whose inputs are not known; `preprocessing`, Keras layer
                from `(B,)` strings to the model's inputs; `verbose`.
        """
        if format != "tf_saved_model":
            return super().export(filepath, format=format, **kwargs)
        return export_saved_model(self, filepath, **kwargs)

    def get_config(self):
        """Returns encoder and heads, serialized."""
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "heads": keras.saving.serialize_keras_object(self.heads),
            "representation_known": self.representation_known,
            "separate_inputs": self.separate_inputs,
            "discriminator": keras.saving.serialize_keras_object(
                self.discriminator
            ),
        }

    def get_build_config(self):
        """Returns the shapes of the inputs, once known."""
        if self.input_structure is None:
            return None
        inputs = keras.tree.map_structure(_plain, self.input_structure)
        return {"inputs": keras.saving.serialize_keras_object(inputs)}

    def build_from_config(self, config):
        """Builds all layers from `get_build_config()`."""
        with fitting(type(self).__name__, config):
            inputs = keras.saving.deserialize_keras_object(config["inputs"])
            self.build_from_inputs(inputs)

    def save_own_variables(self, store):
        """Saves the state of random layers too, and the epochs finished."""
        super().save_own_variables(store)
        random_state.save(self._parts(), store)
        if self.compiled:
            store["epoch"] = self.epoch.numpy()

    def load_own_variables(self, store):
        """Loads what `save_own_variables` saved."""
        names = sorted(store.keys())
        own = {name: store[name] for name in names if name.isdigit()}
        super().load_own_variables(own)
        random_state.load(self._parts(), store)
        if self.compiled and "epoch" in store:
            self.epoch.assign(np.asarray(store["epoch"]))

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        children = super()._trackable_children(save_type, **kwargs)
        if save_type == "checkpoint":  # That of `tf.train.Checkpoint`.
            children |= random_state.variables(self._parts())
            if self.compiled:
                children["epoch"] = self.epoch.value
        return children

    def _parts(self):
        layers = self.arrangement.head_layers
        heads = {f"head_{name}": layer for name, layer in layers.items()}
        return {"encoder": self.encoder, **heads}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Returns the model of `get_config()`, not compiled."""
        names = ("encoder", "heads", "discriminator")
        with fitting(cls.__name__, config):
            parts = keras.saving.deserialize_keras_object(
                {name: config.pop(name, None) for name in names},
                custom_objects,
            )
            return cls(**parts, **config)


def _plain(tensor):
    return keras.KerasTensor(tensor.shape, tensor.dtype, name=tensor.name)
