"""What the step of an optimizer makes of a change of its gradient.

The update of a variable is a function, coordinate by coordinate, of the
gradient and of the optimizer's state. These are its derivatives.
"""

import functools

import keras
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.precision import on_values, parts_of
from keras_mtl.signals import SIGNALS
from keras_mtl.training.optimizers import mover

# Settings that make a coordinate's step depend on others, or on other steps.
COUPLING = (
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "ema_overwrite_frequency",
)


def differentiates_step(weighter) -> bool:
    """Whether `observe` reads the derivative of the optimizer's step."""
    return any(SIGNALS[name].of_step for name in weighter.observes)


def check_form(optimizer, asking):
    """Raises unless the derivative of the optimizer's step is known.

    Args:
        optimizer: Keras optimizer.
        asking: String, who asks, for the error message.

    Raises:
        ValueError: With the optimizers whose steps are known.
    """
    for part in parts_of(optimizer):
        if type(part) not in FORMS:
            names = ", ".join(form.__name__ for form in FORMS)
            raise ValueError(
                f"{asking} needs the derivative of the optimizer's step, "
                f"which is known for {names}, not for classes made of them. "
                f"Received: {type(part).__name__}. Compile with one of these, "
                "or leave `through` out."
            )
        for name in COUPLING:
            if value := getattr(part, name, None):
                raise ValueError(
                    f"{asking} needs the derivative of the optimizer's step, "
                    f"which with `{name}` is not one of each coordinate by "
                    f"itself. Received: {name}={value!r}. Compile without it, "
                    "or leave `through` out."
                )


class StepBefore:
    """What an update overwrites, kept to differentiate it afterwards.

    Of a table whose gradients are sparse, rows are kept, never the table.

    Args:
        optimizer: Keras optimizer, built, whose form is known.
        scale: Float scalar, by which all gradients are multiplied.
        coefficients: `{id(variable): (K,)}`, of the tasks' gradients in
            `applied`.
        columns: `{id(variable): list of the tasks' gradients}`, global ones
            (over replicas).
        variables: List of these variables.
        applied: `{id(variable): gradient}` that the optimizer is given.
    """

    def __init__(
        self, optimizer, scale, coefficients, columns, variables, applied
    ):
        self._columns, self._derivatives = columns, {}
        for variable in variables:
            key, part = id(variable), mover(optimizer, variable)
            form = FORMS[type(part)](part, variable)
            # Of a sparse gradient Keras squares every slice by itself, also
            # where several are of one row.
            by_slice = isinstance(applied[key], tf.IndexedSlices)
            self._derivatives[key] = [
                None
                if gradient is None
                else form.of_slices(
                    gradient.indices,
                    coefficient * tf.cast(gradient.values, tf.float32) / scale,
                )
                if by_slice
                else form.at(getattr(gradient, "indices", None))
                for gradient, coefficient in zip(
                    columns[key], tf.unstack(coefficients[key]), strict=True
                )
            ]

    def moved(self) -> dict:
        """Returns by how much each gradient moves its variable, negated.

        Called after the update. A dict like `columns`: each gradient times
        the derivative of what the update subtracts.
        """
        return {
            key: [
                gradient
                if gradient is None
                else on_values(
                    lambda g, d=derivative: tf.cast(g, tf.float32) * d(),
                    gradient,
                )
                for gradient, derivative in zip(
                    column, self._derivatives[key], strict=True
                )
            ]
            for key, column in self._columns.items()
        }


class SGDForm:
    """A step of learning rate times gradient, with momentum or without.

    Momentum adds earlier gradients, which this one does not change; Nesterov's
    adds this one a second time.

    Args:
        part: `keras.optimizers.SGD`.
        variable: `keras.Variable`.
    """

    def __init__(self, part, variable):
        del variable
        again = part.momentum if part.nesterov else 0.0
        self._rate = _copy(part.learning_rate) * (1.0 + again)

    def at(self, rows):
        """Returns a function, for after the update, of the derivative."""
        del rows
        return lambda: self._rate

    def of_slices(self, rows, gradient):
        """Returns the same for slices of a sparse gradient."""
        del rows, gradient
        return lambda: self._rate


class AdamForm:
    """Adam's step, whose moments both hold this step's gradient.

    Args:
        part: `keras.optimizers.Adam` or `AdamW`, whose decay of the weights
            does not depend on the gradient.
        variable: `keras.Variable`.
    """

    def __init__(self, part, variable):
        self._part = part
        moments = compat.adam_moments(part, variable)
        self._moment, self._square, self._most = moments
        step = tf.cast(part.iterations + 1, tf.float32)
        bias = [1.0 - tf.pow(beta, step) for beta in (part.beta_1, part.beta_2)]
        self._rate = _copy(part.learning_rate) * tf.sqrt(bias[1]) / bias[0]
        self._whole = None

    def at(self, rows):
        """Returns a function, for after the update, of the derivative."""
        if rows is None and self._whole is not None:
            return self._whole  # One for all tasks.
        before = _read(self._moment, rows)

        def derivative():
            # Not the batch's own, of which replicas have but a share.
            gradient = _read(self._moment, rows) - self._part.beta_1 * before
            gradient /= 1.0 - self._part.beta_1
            return self._derivative(gradient, rows)

        if rows is not None:
            return derivative
        self._whole = functools.cache(derivative)
        return self._whole

    def of_slices(self, rows, gradient):
        """Returns the same for slices of a sparse gradient."""
        return lambda: self._derivative(gradient, rows)

    def _derivative(self, gradient, rows):
        part = self._part
        moment, square = (
            _read(slot, rows) for slot in (self._moment, self._square)
        )
        most = square if self._most is None else _read(self._most, rows)
        root = tf.sqrt(most)
        below = root + part.epsilon
        through_square = tf.math.divide_no_nan(
            (1.0 - part.beta_2) * gradient * moment, root * below * below
        )
        if self._most is not None:
            # An earlier, larger square does not depend on this gradient.
            through_square = tf.where(most > square, 0.0, through_square)
        return self._rate * ((1.0 - part.beta_1) / below - through_square)


FORMS = {
    keras.optimizers.SGD: SGDForm,
    keras.optimizers.Adam: AdamForm,
    keras.optimizers.AdamW: AdamForm,
}


def _read(slot, rows):
    if rows is None:
        value = tf.identity(tf.convert_to_tensor(slot))
    else:
        value = tf.gather(slot.value, rows)
    return tf.cast(value, tf.float32)


def _copy(learning_rate):
    # A schedule moves on with the update.
    return tf.identity(tf.cast(tf.convert_to_tensor(learning_rate), tf.float32))
