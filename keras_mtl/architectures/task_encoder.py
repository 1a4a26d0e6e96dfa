"""The base class of encoders with a representation for each task."""

import inspect
from collections.abc import Iterable
from typing import Any

import keras

from keras_mtl import compat
from keras_mtl.architectures.binding import BoundToTasks
from keras_mtl.tasks.separate import (
    alike,
    as_spec,
    encode_rows,
    rows_share_a_state,
    sever,
)


class TaskEncoder(BoundToTasks):
    """An encoder whose output is a dict from task name to representation.

    `MultiTaskModel` passes it all inputs at once, shared ones or a dict of
    separate ones, and each head its task's representation. A subclass defines
    two methods, both of which may take `training`, too:

    - `shared(inputs)` returns the cut: the tensors, in any structure, that
      the tasks have in common. Gradients at the representation are those of
      the cut.
    - `own(task, cut, inputs)` returns a task's representation.

    Which variables the tasks share follows from what their outputs depend on,
    wherever the layers are kept. Keep them in attributes that are named for
    the task, such as `setattr(self, f"gate_{task}", gate)`: these are saved by
    name, a dict by position.

    Example:

    >>> class TwoTowers(TaskEncoder):
    ...     def __init__(self, task_names, **kwargs):
    ...         super().__init__(task_names, **kwargs)
    ...         self.bottom = keras.layers.Dense(8, "relu")
    ...         for task in task_names:
    ...             tower = keras.layers.Dense(4, "relu")
    ...             setattr(self, f"tower_{task}", tower)
    ...     def shared(self, inputs):
    ...         return self.bottom(inputs)
    ...     def own(self, task, cut, inputs):
    ...         return getattr(self, f"tower_{task}")(cut)

    A subclass may also define

    - `task_layers(task_names)`, a dict from attribute to layer, instead of what
      the constructor makes for each task; names may then be left out. It is
      called by `MultiTaskModel` or at the first call, or, to have the layers
      at once, by `self.bind(self.task_names)` at the constructor's end;
    - `stem(task, inputs)`, what a task makes of its own inputs before
      `shared` and `own` get them, for tasks whose inputs differ in kind;
    - `own_all(cut, inputs)`, all representations at once, `(B, K, U)`, in the
      order of `task_names`, which `StackedHeads` take; by default those of
      `own`, computed one by one. Above the cut, a
      variable is a task's own where the graph keeps the tasks apart: stacked
      or concatenated, through products, sums and activations. Where it does
      not, or two tasks read the same, they share it.

    One that defines `call` instead has no cut; gradients are then read of
    variables only.

    Args:
        task_names: Iterable of strings; by default those of the heads.

    Attributes:
        shares_features: Whether the cut is what a task discriminator should
            read.
        stacked_layers: Layers above the cut whose variables have, on their
            last axis, columns for each task, one task's after the other's:
            these are the tasks' own.

    Call arguments:
        inputs: Inputs for all tasks, or a dict of them by task name.
        training: Boolean, passed to the layers.
        apart: Boolean. Whether separate inputs may pass shared layers task by
            task, so that a task's gradient costs its own rows only.
        return_cut: Boolean. If true, returns a tuple of the representations,
            the `Cut`, and a dict from task name to the cut of its rows.

    Returns:
        Dict from task name to representation; `(B, K, U)` where all are
        stacked.

    Raises:
        ValueError: If `task_names` is not a list of strings, or neither they
            nor a model's heads name the tasks when it is called or built.
    """

    shares_features = False
    stacked = False
    stacked_layers = ()

    def __init__(self, task_names: Iterable[str] | None = None, **kwargs):
        super().__init__(task_names, **kwargs)
        self._example = None

    @property
    def has_cut(self) -> bool:
        """Whether it says what the tasks have in common."""
        return type(self).call is TaskEncoder.call

    @property
    def can_stack(self) -> bool:
        """Whether it computes all representations at once."""
        return type(self).own_all is not TaskEncoder.own_all

    def stack(self):
        """Makes it return all representations in one tensor."""
        self.require_tasks()
        self.stacked = True

    def shared(self, inputs):
        """Returns the cut of inputs `(B, ...)`."""
        raise NotImplementedError(
            f"{type(self).__name__} must define shared(inputs)."
        )

    def own(self, task, cut, inputs, training=None):
        """Returns a task's representation."""
        if self.can_stack:
            number = self.task_names.index(task)
            every = self._run(self.own_all, cut, inputs, training=training)
            return every[:, number]
        raise NotImplementedError(
            f"{type(self).__name__} must define own(task, cut, inputs)."
        )

    def own_all(self, cut, inputs, training=None):
        """Returns all representations, `(B, K, U)`."""
        parts = [
            self._run(self.own, task, cut, inputs, training=training)
            for task in self.task_names
        ]
        shapes = [tuple(part.shape) for part in parts]
        if len(set(shapes)) > 1:
            raise ValueError(
                "Stacked heads take representations of one shape. Received: "
                f"{dict(zip(self.task_names, shapes, strict=True))}. Give "
                "MultiTaskModel a dict of heads."
            )
        return keras.ops.stack(parts, axis=1)

    def stem(self, task, inputs):
        """Returns what a task makes of its own inputs: the same."""
        return inputs

    def is_separate(self, inputs) -> bool:
        """Whether `inputs` are a dict by task name."""
        named = isinstance(inputs, dict) and len(inputs) > 0
        return named and set(inputs) <= set(self.task_names)

    def by_task(self, inputs) -> dict:
        """Returns a dict from task name to inputs, also of shared inputs."""
        self.require_tasks()
        if self.is_separate(inputs):
            return inputs
        return dict.fromkeys(self.task_names, inputs)

    def __call__(self, inputs, *args, **kwargs):
        """Returns the representations; see `call`."""
        self.require_tasks()
        self._remember(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs, training=None, apart=False, return_cut=False):
        """Returns the representations."""
        parts = self.by_task(inputs)
        differ = type(self).stem is not TaskEncoder.stem
        if differ:
            parts = {
                task: self._run(self.stem, task, part, training=training)
                for task, part in parts.items()
            }

        def shared(part):
            return self._run(self.shared, part, training=training)

        if differ or self.is_separate(inputs):
            first = next(iter(parts.values()))
            apart = apart and not (training and rows_share_a_state(self))
            apart = apart or not all(alike(first, p) for p in parts.values())
            cut, cuts = encode_rows(shared, parts, apart)
        else:
            cut = sever(shared(inputs))
            cuts = dict.fromkeys(parts, cut.copies)
        if self.stacked:
            outputs = self._run(
                self.own_all, cut.copies, inputs, training=training
            )
        else:
            outputs = {
                task: self._run(
                    self.own, task, cuts[task], part, training=training
                )
                for task, part in parts.items()
            }
        return (outputs, cut, cuts) if return_cut else outputs

    def build(self, input_shape):
        """Builds all layers, for inputs of these shapes.

        Called on inputs, the encoder builds each layer when it is called.
        """
        if self._example is None:
            self._build_for(
                keras.tree.map_shape_structure(
                    lambda shape: keras.KerasTensor(shape, self.compute_dtype),
                    input_shape,
                )
            )

    def get_build_config(self):
        """Returns the inputs' shapes and types, once known."""
        if self._example is None:
            return super().get_build_config()
        inputs = keras.tree.map_structure(_spec, self._example())
        inputs = keras.saving.serialize_keras_object(inputs)
        return {"inputs": inputs, "stacked": self.stacked}

    def build_from_config(self, config):
        """Builds all layers from `get_build_config()`."""
        if "inputs" not in config:
            super().build_from_config(config)
            return
        if config.get("stacked"):
            self.stack()
        inputs = keras.saving.deserialize_keras_object(config["inputs"])
        self._remember(inputs)
        if type(self).build is not TaskEncoder.build:
            self.build(keras.tree.map_structure(lambda x: x.shape, inputs))
        self._build_for(inputs)
        self.built = True

    def _build_for(self, inputs):
        self.require_tasks()
        compat.compute_output_spec(self.call, inputs)

    def _remember(self, inputs):
        if self._example is None:
            specs = keras.tree.map_structure(_spec, inputs)
            # Keras would keep a structure in containers of its own.
            self._example = lambda: specs

    def _run(self, method, *args, training=None) -> Any:
        takes = "training" in inspect.signature(method).parameters
        return method(*args, **({"training": training} if takes else {}))


def _spec(tensor):
    spec = as_spec(tensor)
    shape = (None, *spec.shape[1:])  # Batches differ.
    return keras.KerasTensor(shape, spec.dtype)
