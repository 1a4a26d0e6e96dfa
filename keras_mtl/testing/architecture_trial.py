"""An architecture under test: models of it, and plain gradients to compare."""

import functools

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.architectures.task_encoder import TaskEncoder
from keras_mtl.model import MultiTaskModel
from keras_mtl.testing.trial import ConformanceError
from keras_mtl.weighters import GradientWeighter, Weighter


class ArchitectureTrial:
    """What the checks of an architecture make of it.

    To make and to build a model takes longer than most checks: those that need
    no other one share a model, and its gradients.

    Args:
        make: Function from a tuple of task names to a new `TaskEncoder`.
        inputs: Array or structure of arrays, of some rows.
        task_names: Tuple of strings.
        expert: Function that returns a layer, one expert alone; or `None`.
    """

    def __init__(self, make, inputs, task_names, expert=None):
        self.make, self.task_names = make, tuple(task_names)
        self.expert = expert
        self.inputs = keras.tree.map_structure(np.asarray, inputs)
        self.num_rows = len(keras.tree.flatten(self.inputs)[0])

    def encoder(self, task_names=None) -> TaskEncoder:
        """Returns a new encoder; its initial values are always the same."""
        keras.utils.set_random_seed(7)
        names = tuple(task_names or self.task_names)
        encoder = self.make(names)
        if not isinstance(encoder, TaskEncoder):
            raise ConformanceError(
                "the factory must return a keras_mtl.architectures."
                f"TaskEncoder; it returned {type(encoder).__name__}"
            )
        if encoder.task_names is None:
            encoder.bind(names)
        return encoder

    def model(self, weighter=None, rate=1.0):
        """Returns the built model of all checks, in its initial state.

        It is compiled anew, and runs eagerly: most checks take one step, which
        is not worth a graph.
        """
        model = self._restored()
        _compile(model, weighter, rate)
        return model

    def another(self, weighter=None, task_names=None, rate=1.0, **compiled):
        """Returns a new compiled model with a small head for each task."""
        encoder = self.encoder(task_names)
        heads = {
            task: keras.Sequential(
                [keras.layers.Flatten(), keras.layers.Dense(1)],
                name=f"head_of_{task}",
            )
            for task in encoder.task_names
        }
        model = MultiTaskModel(encoder, heads)
        _compile(model, weighter, rate, **compiled)
        return model

    @functools.cached_property
    def _built(self):
        model = self.another()
        model(self.inputs)
        parts = [model.encoder, *model.heads.values()]
        variables = [v for part in parts for v in part.variables]
        return model, [(v, np.array(v)) for v in variables]

    def _restored(self):
        model, initial = self._built
        for variable, value in initial:
            variable.assign(value)
        return model

    def labels(self, num_rows=None):
        """Returns labels of every task, the same at each call."""
        rng = np.random.default_rng(5)
        rows = num_rows or self.num_rows
        return {
            task: rng.normal(size=(rows, 1)).astype("float32")
            for task in sorted(self.task_names)
        }

    def separate(self, num_rows=None):
        """Returns inputs for each task, of so many rows by task.

        Each task's begin with another row.
        """
        rows = num_rows or {}
        return {
            task: keras.tree.map_structure(
                lambda a, task=task, number=number: np.roll(a, number, axis=0)[
                    : rows.get(task)
                ],
                self.inputs,
            )
            for number, task in enumerate(self.task_names)
        }

    @functools.cached_property
    def task_gradients(self):
        """Each task's gradients in the initial state, by a pass of its own.

        Dict from task name to a dict from variable path to array; a variable
        that a task does not reach is missing.
        """
        model = self._restored()
        x = keras.tree.map_structure(tf.convert_to_tensor, self.inputs)
        labels, found = self.labels(), {}
        variables = [*model.encoder.trainable_variables]
        variables += [
            v for head in model.heads.values() for v in head.trainable_variables
        ]
        with tf.GradientTape(persistent=True) as tape:
            outputs = model(x, training=False)
            losses = {
                task: tf.reduce_mean(
                    (tf.cast(output, "float32") - labels[task]) ** 2
                )
                for task, output in outputs.items()
            }
        for task in self.task_names:
            pulled = tape.gradient(losses[task], [v.value for v in variables])
            found[task] = {
                v.path: np.array(tf.convert_to_tensor(g), "float64")
                for v, g in zip(variables, pulled, strict=True)
                if g is not None
            }
        return found


def _compile(model, weighter, rate, run_eagerly=True):
    model.compile(
        keras.optimizers.SGD(rate),
        loss="mse",
        weighter=weighter,
        jit_compile=False,
        run_eagerly=run_eagerly,
    )


class FromGramian(GradientWeighter):
    """Weights that do not move, of a Gramian in one form or another."""

    scales_heads = False


class FixedShares(FromGramian):
    """Weights that do not move, of shared gradients alone."""

    def call(self, gramian):
        """Returns 0.5, 2, 1 and so on."""
        return shares(gramian.shape[0])


class ByLayer(FromGramian):
    """The same, of a Gramian for each layer."""

    def call(self, gramian_by_layer):
        """Returns 0.5, 2, 1 and so on."""
        return shares(gramian_by_layer.shape[-1])


class ByHalves(FromGramian):
    """The same, of gradients of the two halves of a batch."""

    def call(self, split_gramian):
        """Returns 0.5, 2, 1 and so on."""
        return shares(split_gramian.shape[-1])


class ByFall(Weighter):
    """Weights by how much the losses fall."""

    def build(self, losses_shape):
        """Creates the losses before the update."""
        self.before = self.add_state("before", losses_shape, "ones")

    def call(self, losses):
        """Returns equal weights."""
        self.before.assign(losses)
        return tf.ones_like(losses)

    def observe(self, losses_after):
        """Returns the losses' ratios to those before."""
        return losses_after / tf.maximum(self.before, 1e-12)


class ByNorm(GradientWeighter):
    """Weights by the norms of the gradients."""

    def call(self, gradient_norms):
        """Returns the norms' share of their mean."""
        mean = tf.reduce_mean(gradient_norms)
        return gradient_norms / tf.maximum(mean, 1e-12)


def shares(num_tasks):
    """Returns the weights of `FixedShares`."""
    return tf.constant([(0.5, 2.0, 1.0)[k % 3] for k in range(num_tasks)])


def close(received, expected, tolerance, what):
    """Raises if arrays differ by more than a share of the largest entry."""
    received, expected = (
        np.asarray(a, "float64") for a in (received, expected)
    )
    if received.shape != expected.shape:
        raise ConformanceError(
            f"{what} has the shape {received.shape}, not {expected.shape}"
        )
    size = max(float(np.max(np.abs(expected), initial=0.0)), 1e-6)
    error = float(np.max(np.abs(received - expected), initial=0.0)) / size
    if not error <= tolerance:
        raise ConformanceError(
            f"{what} is off by {error:.1e} of its largest entry (at most "
            f"{tolerance:.0e})"
        )


def draws_or_counts(model):
    """Whether training differs from inference: dropout, or batch-norm."""
    layers = compat.layers_within(model.encoder)
    return any(
        compat.seed_generators(layer) or compat.own_non_trainable(layer)
        for layer in layers
    )
