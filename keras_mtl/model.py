"""A Keras model with many tasks, whose weights are learned in training."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_mtl.architectures.fitting import check_discriminator, check_encoder
from keras_mtl.architectures.task_discriminator import TaskDiscriminator
from keras_mtl.architectures.task_encoder import TaskEncoder
from keras_mtl.gradients import roles
from keras_mtl.graph.cut import FunctionalGraph
from keras_mtl.graph.section import Section
from keras_mtl.layers.stacked_heads import StackedHeads
from keras_mtl.saving.export import export_saved_model, needed_packages
from keras_mtl.saving.storage import StoredModel
from keras_mtl.tasks import arrangement
from keras_mtl.tasks.separate import (
    Cut,
    are_separate,
    check_alike,
    encode_rows,
    rows_share_a_state,
    sever,
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class MultiTaskModel(StoredModel):
    """A Keras model of an encoder that many tasks share, and a head for each.

    Inputs are shared (one `x` for all tasks) or separate (a dict from task
    name to inputs, whose rows reach only the head of their task). Labels,
    losses, metrics and sample weights are dicts by task name. With
    `StackedHeads` they are one array or one loss for all tasks; rows that
    belong to one task each are passed as `{"inputs": ..., "task": ids}`.

    Example:

    >>> model = MultiTaskModel(
    ...     keras.layers.Dense(16, "relu"),
    ...     {
    ...         "price": keras.layers.Dense(1),
    ...         "sold": keras.layers.Dense(1, "sigmoid"),
    ...     },
    ... )
    >>> model.compile(
    ...     "adam",
    ...     loss={"price": "mse", "sold": "binary_crossentropy"},
    ...     weighter="slaw",
    ... )
    >>> model.fit(x, {"price": prices, "sold": sold}, epochs=5)
    >>> model.task_weights
    {'price': 1.08, 'sold': 0.92}

    Args:
        encoder: Layer or model, inputs -> representation.
        heads: Dict from task name to layer or model, representation ->
            prediction. Or `keras_mtl.layers.StackedHeads`.
        discriminator: `keras_mtl.architectures.TaskDiscriminator` to train
            the shared features against, or `None`. It needs separate inputs.
        graph: `FunctionalGraph` that encoder and heads are parts of, or
            `None`; `from_functional` sets it.
        separate_inputs: Boolean. Whether a dict of inputs has an entry for
            each task, or is what the encoder takes. By default the names in
            the dict tell.

    Raises:
        ValueError: If there is no head, or a name or layer is not usable.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        heads: Mapping[str, keras.layers.Layer] | StackedHeads,
        discriminator: TaskDiscriminator | None = None,
        graph: FunctionalGraph | None = None,
        separate_inputs: bool | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.separate_inputs = separate_inputs
        self.graph = graph
        self.arrangement = arrangement(heads)
        if not isinstance(encoder, keras.layers.Layer):
            raise ValueError(
                "Argument `encoder` must be a Keras layer or model. Received: "
                f"encoder={encoder!r} (of type {type(encoder).__name__})"
            )
        self.encoder = encoder
        self.output_names = self.arrangement.output_names
        self.has_task_encoder = isinstance(encoder, TaskEncoder)
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
    def from_functional(
        cls,
        model: keras.Model,
        representation: str | Sequence[str] | None = None,
        **kwargs,
    ) -> "MultiTaskModel":
        """Makes a multi-task model of a functional one with named outputs.

        Layers and weights are shared with `model`. Layers that several tasks
        use are computed once.

        Example:

        >>> inputs = keras.Input((8,))
        >>> shared = keras.layers.Dense(16, "relu")(inputs)
        >>> outputs = {
        ...     "price": keras.layers.Dense(1)(shared),
        ...     "sold": keras.layers.Dense(1, "sigmoid")(shared),
        ... }
        >>> model = MultiTaskModel.from_functional(keras.Model(inputs, outputs))

        Args:
            model: Functional Keras model whose outputs are a dict by task
                name, or come from layers that are named like the tasks.
            representation: String, name of the layer whose output the tasks
                have in common, or list of such names. By default, the
                tensors that more than one task depends on and that a layer
                of a single task reads. Tasks are the
                outputs to which `compile` gives a loss.
            **kwargs: Passed to the constructor.

        Returns:
            A `MultiTaskModel`.

        Raises:
            ValueError: If the outputs have no names, a layer does not exist
                or separates nothing. In `compile`: if an output with a loss
                has another path to the inputs than through `representation`.
        """
        graph = FunctionalGraph(model, representation)
        if kwargs.get("discriminator") is not None and not graph.separates:
            raise ValueError(
                "A task discriminator reads the representation, but the tasks "
                "of the model have nothing trainable in common. Drop the "
                "discriminator."
            )
        return cls(graph.encoder, graph.heads(), graph=graph, **kwargs)

    @property
    def heads(self) -> dict[str, keras.layers.Layer] | StackedHeads:
        """Dict from task name to head, or the `StackedHeads`."""
        return self.arrangement.heads

    @property
    def is_cut_declared(self) -> bool:
        """Whether all that the encoder returns is the representation."""
        return not self.has_task_encoder and self.graph is None

    def has_common_representation(self, inputs: Any) -> bool:
        """Whether all tasks read one representation of these inputs."""
        if self.is_separate(inputs):
            return False
        if self.arrangement.owners(inputs) is not None:
            return self.has_task_encoder
        return roles.of(self).has_representation

    @property
    def section(self) -> Section | None:
        """A functional model's parts, below and above the cut of its tasks."""
        if self.graph is None:
            return None
        # A discriminator is made for the cut of all outputs.
        fixed = self.discriminator is not None
        return self.graph.section(
            self.output_names if fixed else self.task_names
        )

    def checked_losses(self, loss, loss_weights):
        """Returns the losses of `compile`'s arguments, if the cut fits them."""
        losses = self.arrangement.losses(loss, loss_weights)
        if self.graph is not None:
            self.graph.check_paths(losses.task_names)
        return losses

    def is_separate(self, inputs: Any) -> bool:
        """Whether `inputs` are a dict by task name."""
        return self.arrangement.can_separate and are_separate(
            inputs, self.output_names, self.encoder, self.separate_inputs
        )

    def call(
        self, inputs, training=None, return_representation=False, apart=False
    ):
        """Returns a dict from task name to prediction, or all stacked.

        Args:
            inputs: Inputs of the encoder, or a dict of them by task name.
                With stacked heads also `{"inputs": ..., "task": ids}`, which
                returns the prediction of each row's task, `(B, units)`.
            training: Boolean, passed to the layers.
            return_representation: Boolean. If true, returns a tuple of the
                predictions, the `Cut`, and a dict from task name to the cut
                of its rows.
            apart: Boolean. Whether separate inputs may pass the encoder task
                by task, so that a task's gradient costs its own rows only.
        """
        inputs, task = self.arrangement.take_ids(inputs)
        self.remember_inputs(inputs)
        by_task = self.has_task_encoder or self.is_separate(inputs)
        section = self.section
        encoder = self.encoder if section is None else section.below
        if self.has_task_encoder:
            parts, cut, cuts = self._encode_by_task(inputs, training, apart)
            if self.encoder.stacked or not self.is_separate(inputs):
                cut = cut._replace(own=parts)
        elif by_task:
            check_alike(inputs)
            encode = functools.partial(encoder, training=training)
            apart = apart and not (training and rows_share_a_state(encoder))
            cut, cuts = encode_rows(encode, inputs, apart)
            parts = cuts
        else:
            cut = sever(encoder(inputs, training=training))
            parts, cuts = (
                cut.copies,
                dict.fromkeys(self.output_names, cut.copies),
            )
        if section is not None:
            cut, cuts = section.leaves(cut, cuts)
            outputs = section.predict(parts, by_task)
        elif by_task and isinstance(parts, dict):
            outputs = {
                task: self.heads[task](parts[task], training=training)
                for task in self.output_names
                if task in parts
            }
        else:
            outputs = self.arrangement.predict(parts, training, task)
        cut.keep_logits_if_read(parts, outputs)
        if self.discriminator is not None and not self.discriminator.built:
            self.discriminator.build_for(next(iter(cuts.values())))
        if return_representation:
            return outputs, cut, cuts
        return outputs

    def _encode_by_task(self, inputs, training, apart):
        """Returns representations, `Cut` and cut by task of a task encoder."""
        named = self.arrangement.is_by_task(inputs)
        if named and not self.is_separate(inputs):
            inputs = dict.fromkeys(self.output_names, inputs)
        if self.encoder.has_cut:
            settings = {"apart": apart, "return_cut": True}
            return self.encoder(inputs, training=training, **settings)
        parts = self.encoder(inputs, training=training)
        return parts, Cut((), ()), parts

    def export(
        self, filepath: str | Path, format: str = "tf_saved_model", **kwargs
    ):
        """Writes a SavedModel for serving, without the weighter.

        The signature `serve`, which is the default one, returns all
        predictions by task name. There is also a signature for each task, of
        the task's name, which returns its prediction alone; stacked heads have
        none. Inputs keep their names. With `preprocessing`, all signatures
        take strings named `text`, or what a functional model takes.

        Example:

        >>> model.export("served/1")
        >>> served = tf.saved_model.load("served/1")
        >>> served.serve(x)  # {"price": (rows, 1), "sold": (rows, 1)}

        Args:
            filepath: Path of the folder to write.
            format: `"tf_saved_model"`, or another of `keras.Model.export`.
            **kwargs: `input_signature`, structure of `keras.InputSpec`, for a
                model that was not yet called; `preprocessing`, a Keras layer
                from `(B,)` strings to the model's inputs, such as an adapted
                `keras.layers.TextVectorization`, or a functional model from
                raw columns to them; `verbose`.

        Raises:
            ValueError: If the model's inputs are not known.
            ImportError: If another format needs a package that is missing.
        """
        if format != "tf_saved_model":
            with needed_packages(format):
                return super().export(str(filepath), format=format, **kwargs)
        return export_saved_model(self, filepath, **kwargs)
