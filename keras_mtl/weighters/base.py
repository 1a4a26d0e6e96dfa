"""The contract of a task weighter."""

import functools
import inspect

import keras
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.combination import Combination, combination
from keras_mtl.precision import run_if_finite
from keras_mtl.signals import MODEL_AXES, SIGNALS
from keras_mtl.weighters.declared import (
    axis_lengths,
    build_arguments,
    check_serves,
    check_signals,
    measured,
    without_unread,
)
from keras_mtl.weighters.stored_state import (
    describe,
    reordered,
    saved_positions,
    saved_values,
)


class Weighter(keras.layers.Layer):
    """A layer that turns signals of the training step into task weights.

    A subclass defines `call`, and also `observe` if it learns from the result
    of the update. **The names of their parameters declare the signals that the
    training step measures**; `keras_mtl.signals.SIGNALS` lists them. A
    parameter without a default is always measured. One with the default `None`
    may be left out in calls on plain arrays; `needs` says whether the step
    measures it. `present` should have that default, and is always measured.

    `call` returns `(K,)` weights for the K tasks, or a tuple of two such
    vectors: for the gradients of shared variables, and for those of the heads.
    If it returns one vector, heads have the same weights where `scales_heads`
    is true, and 1 otherwise. On plain arrays, one loop serves all: `present`,
    `epoch` and `learning_rate` may be passed to weighters that do not read
    them, too.

    Create state in `build` by `add_state`, and assign it in `call` or
    `observe`. A call with a signal that is not finite, or one that would make
    a state not finite, changes no state and returns the latest weights.

    Example:

    >>> class Inverse(Weighter):
    ...     def call(self, losses):
    ...         return 1.0 / losses
    >>> Inverse()(losses=[1.0, 2.0])  # -> [1.0, 0.5]

    Attributes:
        scales_heads: Whether a task's weight scales the gradient of its head,
            too, as weights of losses do, or that of shared variables only.
        weighs_heads: Whether `call` returns two vectors.
        weighs_finely: Whether it returns more than these: a `Combination`.
        task_weights: `(K,)` float32 variable, the latest weights of shared
            gradients. `None` before the number of tasks is known.
        task_names: Tuple of task names in head order, once in a model.
        owner: Weak reference to the model that it serves, or `None`.
        loaded_positions: Each task's position in the state last loaded.

    Raises:
        TypeError: When a subclass asks for an unknown signal.
    """

    scales_heads = True
    weighs_heads = False
    weighs_finely = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for when in {"call", "observe"} & set(vars(cls)):
            check_signals(cls, when)
        if "observe" in vars(cls):
            cls.observe = _as_signal_method(cls.observe)

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs}, autocast=False)
        self.task_weights = None
        self.task_names = None
        self.loaded_positions = None
        self.owner = None
        self.sizes, self._axes = {}, {}

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the signals to pass to `call`."""
        return measured(type(self).call)

    @property
    def due(self):
        """Whether the next step is to measure signals and call the weighter.

        `None` for in every step; else a boolean scalar, which a weighter keeps
        in its state, and `hold` takes the place of a call that is not due.
        """
        return None

    @property
    def observes(self) -> tuple[str, ...]:
        """Names of the signals to pass to `observe`; empty without it."""
        observe = getattr(type(self), "observe", None)
        return measured(observe) if observe else ()

    @property
    def model_axes(self) -> set[str]:
        """What the shapes of its signals need to know of the model."""
        asked = (*self.needs, *self.observes)
        axes = {axis for name in asked for axis in SIGNALS[name].axes}
        return axes & set(MODEL_AXES)

    def add_state(
        self, name, shape, initializer="zeros", dtype="float32", task_axes=None
    ) -> keras.Variable:
        """Adds a non-trainable variable that is the same on every replica.

        Args:
            name: String.
            shape: Tuple of integers.
            initializer: Keras initializer or its name.
            dtype: String.
            task_axes: Tuple of the axes that are indexed by task, which follow
                the tasks' names when loaded into a model whose heads have
                another order. By default those of length K; of an integer
                variable, none.

        Returns:
            A `keras.Variable`.
        """
        with keras.name_scope(self.name):
            # Read-synchronised: each replica assigns the same value, without
            # the cross-replica call that is refused inside `tf.cond`.
            variable = keras.Variable(
                keras.initializers.get(initializer),
                shape=shape,
                dtype=dtype,
                trainable=False,
                autocast=False,
                aggregation="only_first_replica",
                synchronization="on_read",
                name=name,
            )
        compat.track_variable(self, variable)
        self._axes[id(variable)] = task_axes
        return variable

    def bind(self, num_tasks, task_names=None, sizes=None):
        """Creates the state for `num_tasks` tasks.

        Args:
            num_tasks: Integer, the number of tasks K.
            task_names: Tuple of K strings, or `None` outside a model.
            sizes: Dict from each of `model_axes` to its length. Without it
                `build` waits for a second call, once the model is built.

        Raises:
            ValueError: If the weighter already serves other tasks.
        """
        task_names = tuple(task_names) if task_names else None
        sizes = {n: (sizes or {}).get(n) for n in sorted(self.model_axes)}
        if self.task_weights is not None:
            check_serves(self, num_tasks, task_names, sizes)
        else:
            self.task_weights = self.add_state(
                "task_weights", (num_tasks,), "ones"
            )
        self.task_names = task_names or self.task_names
        if self.built or None in sizes.values():
            return
        self.sizes = sizes
        self.build(**build_arguments(self, num_tasks, sizes))

    def build(self):
        """Creates no state; a stateful weighter overrides this."""

    def __call__(self, *args, **kwargs):
        """Returns the `(K,)` float32 weights for these signals."""
        return self._weigh(args, kwargs).shared

    def weigh(self, **signals) -> Combination:
        """Returns the weights for these signals, those of heads with them."""
        return self._weigh((), signals)

    def _weigh(self, args, kwargs):
        signals = self._bind_signals(type(self).call, args, kwargs)
        return self._advance(super().__call__, signals)

    def signature(self, method) -> inspect.Signature:
        """Returns the signature of `call` or `observe`, with `self`."""
        return inspect.signature(method)

    def _bind_signals(self, method, args, kwargs):
        signature = self.signature(method)
        kwargs = without_unread(signature, kwargs)
        bound = signature.bind(self, *args, **kwargs).arguments
        bound.pop("self")
        signals = {
            name: tf.cast(tf.convert_to_tensor(value), tf.float32)
            for name, value in bound.items()
            if value is not None
        }
        if not self.built:
            lengths = axis_lengths(signals)
            self.bind(lengths.pop("task"), self.task_names, lengths)
        return signals

    def _advance(self, method, signals):
        state = self.non_trainable_variables
        run = functools.partial(method, **signals)
        result, finite = run_if_finite(state, run, signals.values())
        weights = combination(result, self.scales_heads)
        self._check_weights(weights)
        latest = tf.where(
            finite, weights.shared, tf.convert_to_tensor(self.task_weights)
        )
        self.task_weights.assign(latest)
        return weights._replace(shared=latest)

    def _check_weights(self, weights):
        expected = tuple(self.task_weights.shape)
        for vector in filter(tf.is_tensor, weights[:2]):
            if tuple(vector.shape) != expected or vector.dtype != tf.float32:
                raise TypeError(
                    f"{type(self).__name__} must return float32 weights of "
                    f"shape {expected}, or a tuple of two such vectors. "
                    f"Received: {vector.dtype.name} of shape "
                    f"{tuple(vector.shape)}"
                )

    def get_build_config(self):
        """Returns the number and names of the tasks, once known."""
        if self.task_weights is None:
            return None
        config = {
            "num_tasks": self.task_weights.shape[0],
            "task_names": self.task_names,
        }
        sizes = dict(self.sizes)
        return {**config, "sizes": sizes} if sizes else config

    def build_from_config(self, config):
        """Creates the state from `get_build_config()`."""
        self.bind(**config)

    def save_own_variables(self, store):
        """Saves the state, and whose it is: class and tasks by name."""
        super().save_own_variables(store)
        describe(self, store)

    def load_own_variables(self, store):
        """Loads the state of each task by its name."""
        order = saved_positions(self, store)
        variables = compat.own_variables(self)
        values = saved_values(self, store, variables)
        self.loaded_positions = order
        for variable, value in zip(variables, values, strict=True):
            if order is not None and "float" in variable.dtype:
                value = reordered(value, order, self._axes.get(id(variable)))
            variable.assign(value)


def _as_signal_method(observe):
    @functools.wraps(observe)
    def converted(self, *args, **kwargs):
        signals = self._bind_signals(observe, args, kwargs)
        return self._advance(functools.partial(observe, self), signals).shared

    return converted
