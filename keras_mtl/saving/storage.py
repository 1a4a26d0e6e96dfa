"""What a model of many tasks saves, and how it is restored."""

import keras
import numpy as np

from keras_mtl.checks import fitting
from keras_mtl.saving import partial_loading, sharing, state_tree
from keras_mtl.training import optimizers, random_state
from keras_mtl.training.trainer import TaskTrainer


class StoredModel(TaskTrainer):
    """What `MultiTaskModel` does in `save`, `load_model` and checkpoints."""

    def get_config(self):
        """Returns encoder and heads, serialized, or the functional model."""
        parts = {"encoder": self.encoder, "heads": self.heads}
        config = {"separate_inputs": self.separate_inputs}
        if self.graph is not None:
            # As one: its parts may hold the same layers.
            parts = {"network": self.graph.model}
            config["representation"] = self.graph.representation
        parts["discriminator"] = self.discriminator
        return {**super().get_config(), **config, **sharing.serialize(parts)}

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

    def load_weights(self, filepath, skip_mismatch=False, **kwargs):
        """Loads weights, and all state with them, as `keras.Model` does.

        What belongs to a task follows its name, not the order of the heads. A
        file with other tasks or another weighter gives what has the same
        name; a warning tells what was not loaded.

        Args:
            filepath: Path of a `.weights.h5` or `.keras` file.
            skip_mismatch: Boolean, whether to warn where a layer's variables
                do not fit, instead of raising an error.
            **kwargs: Passed to `keras.Model.load_weights`.
        """
        plain = self.built and not skip_mismatch and not kwargs
        if not (plain and partial_loading.load(self, filepath)):
            super().load_weights(filepath, skip_mismatch, **kwargs)
        if self.weighter is not None and self.optimizer.built:
            optimizers.follow_tasks(self.optimizer, self.weighter)

    def get_state_tree(self, value_format="backend_tensor"):
        """Returns all state but that of metrics, by the names of its parts.

        Args:
            value_format: `"backend_tensor"` or `"numpy_array"`.
        """
        return state_tree.state_tree(self, value_format)

    def set_state_tree(self, tree):
        """Takes the result of `get_state_tree()` of a model built alike.

        Raises:
            ValueError: If it is that of another model.
        """
        state_tree.assign(self, tree)

    def save_own_variables(self, store):
        """Saves the state of random layers, which Keras leaves out.

        And the number of epochs finished, where the model is compiled, and
        which of its variables each slot of the optimizer belongs to.
        """
        super().save_own_variables(store)
        random_state.save(self._parts(), store)
        if self.compiled:
            store["epoch"] = self.epoch.numpy()
            if self.optimizer.built:
                partial_loading.describe_slots(self, store)

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
        names = ("network", "encoder", "heads", "discriminator")
        config.pop("representation_known", None)  # Of version 0.1.0.
        with fitting(cls.__name__, config):
            parts = sharing.deserialize(
                {name: config.pop(name) for name in names if name in config},
                custom_objects,
            )
            if "network" in parts:
                network = parts.pop("network")
                return cls.from_functional(network, **parts, **config)
            return cls(**parts, **config)


def _plain(tensor):
    return keras.KerasTensor(tensor.shape, tensor.dtype, name=tensor.name)
