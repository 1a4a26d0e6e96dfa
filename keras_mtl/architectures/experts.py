"""A bank of experts: layers of one kind that start with different values."""

import keras
from keras import ops

from keras_mtl.architectures.arguments import checked_layer
from keras_mtl.architectures.cloning import check_starts_apart, clones, copies
from keras_mtl.architectures.restoring import restored
from keras_mtl.checks import integer


@keras.saving.register_keras_serializable(package="keras_mtl")
class Experts(keras.layers.Layer):
    """E experts of one kind, each with initial values of its own.

    `Dense` layers, and `Sequential` models of them, are computed together: the
    first layer of all experts in one product, deeper ones in one batched
    product. Other layers and models are cloned, and run one after the other.

    Example:

    >>> Experts(keras.layers.Dense(16, "relu"), 8)(x)  # (B, D) -> (B, 8, 16)

    Args:
        expert: Layer or model, not built: `(B, ...)` -> `(B, ..., U)`.
        num_experts: Integer, at least 1.

    Call arguments:
        inputs: `(B, ...)`, read by every expert.
        training: Boolean, passed to the experts.

    Returns:
        `(B, E, ..., U)`.

    Raises:
        ValueError: If `expert` is no layer, or several experts would start
            with equal kernels.
    """

    def __init__(self, expert: keras.layers.Layer, num_experts: int, **kwargs):
        checked_layer("expert", expert)
        # Experts compute in their own precision, stacked or not.
        super().__init__(**{"dtype": expert.dtype_policy, **kwargs})
        self.num_experts = integer("num_experts", num_experts, 1)
        self._config = keras.saving.serialize_keras_object(expert)
        if self.num_experts > 1:
            check_starts_apart(self._config)
        self._dense = dense_layers(expert)
        self._clones = []

    def build(self, input_shape):
        """Creates stacked kernels, or the clones."""
        if self._dense and not isinstance(input_shape, tuple):
            raise ValueError(
                "Experts of Dense layers read one tensor. Received: inputs of "
                f"the shapes {input_shape}. Pass bottom=..., a layer or model "
                "that makes one of them, or experts that read them all."
            )
        self._stacked = bool(self._dense) and len(input_shape) == 2
        if not self._stacked:
            names = [f"expert_{n}" for n in range(self.num_experts)]
            self._clones = clones(self._config, names)
            for clone in self._clones:
                setattr(self, clone.name, clone)
                clone.build(input_shape)
            return
        self._kernels, self._biases = [], []
        width = input_shape[-1]
        for number, layer in enumerate(self._dense):
            alone = (width, layer.units)
            shape = (self.num_experts, *alone)
            if number == 0:
                shape = self.first_shape(width, layer.units)
            self._kernels.append(
                self.add_weight(
                    name=f"kernel_{number}",
                    shape=shape,
                    initializer=self._each(layer.kernel_initializer, alone),
                    regularizer=layer.kernel_regularizer,
                )
            )
            bias = None
            if layer.use_bias:
                alone = (layer.units,)
                bias = self.add_weight(
                    name=f"bias_{number}",
                    shape=(self.num_experts * layer.units,),
                    initializer=self._each(layer.bias_initializer, alone),
                    regularizer=layer.bias_regularizer,
                )
            self._biases.append(bias)
            width = layer.units

    def call(self, inputs, training=None):
        """Returns the outputs of all experts."""
        if not self._stacked:
            outputs = [
                clone(inputs, training=training) for clone in self._clones
            ]
            if keras.tree.is_nested(outputs[0]):
                raise ValueError(
                    "An expert must return one tensor, (B, ..., U). Received: "
                    f"{len(outputs[0])} outputs of {self._clones[0].name!r}."
                )
            check_one_shape([tuple(output.shape) for output in outputs])
            return ops.stack(outputs, axis=1)
        hidden = None
        for layer, kernel, bias in zip(
            self._dense, self._kernels, self._biases, strict=True
        ):
            if hidden is None:
                hidden = self.first_product(inputs, kernel, layer.units)
            else:
                by_expert = ops.transpose(hidden, (1, 0, 2))
                hidden = ops.transpose(ops.matmul(by_expert, kernel), (1, 0, 2))
            if bias is not None:
                bias = ops.reshape(bias, (self.num_experts, layer.units))
                hidden = ops.add(hidden, bias)
            hidden = layer.activation(hidden)
        return hidden

    def first_shape(self, width, units) -> tuple:
        """Returns the shape of the first kernels, which read the same."""
        return width, self.num_experts * units

    def first_product(self, inputs, kernel, units):
        """Returns the products by the first kernels, `(B, E, units)`."""
        shape = (-1, self.num_experts, units)
        return ops.reshape(ops.matmul(inputs, kernel), shape)

    def _each(self, initializer, alone):
        """Returns an initializer whose experts start as if each were alone."""
        starts = copies(initializer, self.num_experts)

        def initialize(shape, dtype=None):
            values = ops.stack([start(alone, dtype=dtype) for start in starts])
            if tuple(shape) != tuple(values.shape):
                # Experts side by side, or those of each of several groups.
                groups = shape[0] if len(shape) == 3 else 1
                values = ops.reshape(values, (groups, -1, *alone))
                values = ops.moveaxis(values, 1, -2)
            return ops.reshape(values, shape)

        return initialize

    def get_config(self):
        """Returns the expert, serialized, and how many there are."""
        return {
            **super().get_config(),
            "expert": self._config,
            "num_experts": self.num_experts,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the bank of `get_config()`."""
        return restored(cls, config, ("expert",))


def check_one_shape(shapes):
    """Raises if experts that are mixed return several shapes.

    Raises:
        ValueError: That names them.
    """
    if len(set(shapes)) > 1:
        raise ValueError(
            "Experts must return one shape, so that gates can mix them. "
            f"Received: {shapes}. Pass an expert whose copies all have the "
            "same units."
        )


def dense_layers(expert):
    """Returns the `Dense` layers that an expert consists of, or none."""
    layers = [expert]
    if type(expert) is keras.Sequential:
        layers = expert.layers
    plain = all(
        type(layer) is keras.layers.Dense
        and layer.trainable
        and layer.dtype_policy.name == expert.dtype_policy.name
        and layer.kernel_constraint is None
        and layer.bias_constraint is None
        and layer.activity_regularizer is None
        and _adds_up(layer.kernel_regularizer)
        and _adds_up(layer.bias_regularizer)
        and layer.lora_rank is None
        for layer in layers
    )
    return [*layers] if plain else []


def _adds_up(regularizer):
    """Whether that of a stack is the sum of those of its parts."""
    kinds = keras.regularizers
    additive = (type(None), kinds.L1, kinds.L2, kinds.L1L2)
    return type(regularizer) in additive
