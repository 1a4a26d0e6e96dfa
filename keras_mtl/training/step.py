"""One training step: losses, signals, weights, update, observation."""

import functools
import warnings
from typing import Any

import keras
import tensorflow as tf

from keras_mtl import compat, distribution
from keras_mtl.combination import Combination
from keras_mtl.data.support_query import SupportQuery
from keras_mtl.gradients import TaskGradients, roles
from keras_mtl.gradients.finite import first_not_finite
from keras_mtl.precision import (
    all_finite,
    keep_if,
    loss_scale,
    parts_of,
)
from keras_mtl.signals import (
    SIGNALS,
    keeps_gradients,
    measure,
    reads_again,
    resolve_scope,
)
from keras_mtl.training import optimizers
from keras_mtl.training.optimizer_steps import StepBefore, differentiates_step
from keras_mtl.training.states import ForwardAgain, StatesBefore


def train_step(model, data, holds=False):
    """Updates parameters, weighter and metrics of `model` on one batch.

    A step whose losses, signals or gradients are not finite leaves parameters,
    optimizer, weighter, layer states and metrics as they were, and is counted
    as skipped. Where the optimizer accumulates gradients, `observe` follows
    the update alone.

    Args:
        model: A built and compiled `MultiTaskModel`.
        data: `(x, y, sample_weight)`, or a `SupportQuery` of two such batches.
        holds: Boolean. Whether the weighter measures nothing in this step, and
            holds its weights.
    """
    step = Step(model, holds)
    data = data if isinstance(data, SupportQuery) else SupportQuery(data, None)
    batch = step.forward(data.support)
    signals = step.measure_before(batch)
    weights, penalty, own = step.weigh(signals, batch.losses)
    gradients = step.combine(batch, weights, own)
    first = step.first_not_finite(gradients)
    finite = all_finite(
        [*signals.values(), batch.losses, weights.shared, batch.regularisation]
    ) & (first < 0)
    step.update(gradients, finite)
    step.observe(batch, data, finite)
    shared = weights.shared
    model._loss_tracker.update_state(batch, shared, penalty, finite, first)
    step.update_metrics(batch, finite)


class Step:
    """What the parts of one step have in common.

    Made before the forward pass, it keeps what a step that is skipped goes
    back to.

    Args:
        model: A built and compiled `MultiTaskModel`.
        holds: Boolean, as `train_step` takes it.
    """

    _needs: Any  # None until the first batch is seen.

    def __init__(self, model, holds=False):
        self._holds = holds
        self._model, self._weighter = model, model.weighter
        self._optimizer = model.optimizer
        self._scale = loss_scale(model.optimizer)
        self._variables = model.trainable_variables
        self._states = StatesBefore(model)
        self._again = (
            ForwardAgain(model)
            if reads_again(self._weighter) and not holds
            else None
        )
        self._scope = self._needs = self._apart = None

    def forward(self, data, training=True, support=None):
        """Returns the `TaskGradients` of a batch `(x, y, sample_weight)`.

        Args:
            data: The batch.
            training: Boolean, passed to the layers.
            support: `TaskGradients` of the batch that the update was made of,
                where this one is read with it.
        """
        batch = keras.utils.unpack_x_y_sample_weight(data)
        if self._needs is None:
            common = self._model.has_common_representation(batch[0])
            self._scope = resolve_scope(self._weighter, common)
            self._rests = self._scope not in (None, "all") and not (
                roles.shared_variables(self._model)
            )
            self._find_tasks_apart()
            self._choose_signals()
            self._read_learning_rate()
        late = support is not None and distribution.num_replicas() > 1
        scale = self._scale
        if late:  # Of sums, not means: they would leave the range of float16.
            scale /= tf.maximum(support.totals.rows, 1.0)
        return TaskGradients(
            self._model, batch, training, scale, self._scope, late
        )

    def _choose_signals(self):
        """Reads nothing where all that tasks share is frozen, and says so."""
        self._needs, self._observes = (
            self._weighter.needs,
            self._weighter.observes,
        )
        if self._rests or self._holds:
            self._scope, self._needs, self._observes = None, (), ()
        if self._rests:
            warnings.warn(
                f"{type(self._weighter).__name__} weighs gradients of what the "
                "tasks share, and the encoder has no trainable variables that "
                "serve several. All weights are 1, and its state stays as it "
                "is, until there are some.",
                stacklevel=2,
            )

    def _find_tasks_apart(self):
        """Notes the tasks that share nothing of what is weighed."""
        needs = self._weighter.needs
        if not self._rests and any(SIGNALS[n].of_gradients for n in needs):
            apart = roles.tasks_apart(self._model, self._scope)
            if any(apart):
                self._apart = tf.constant(apart)

    def _read_learning_rate(self):
        # Before the update, with which a schedule moves on.
        self._learning_rate = None
        if "learning_rate" in (*self._needs, *self._observes):
            self._learning_rate = optimizers.learning_rate(
                self._optimizer,
                lambda: roles.scope_variables(self._model, self._scope),
                type(self._weighter).__name__,
            )

    def measure_before(self, batch):
        """Returns the signals of `call`, by name.

        A task that shares nothing counts as absent.
        """
        signals = self._measure(self._needs, batch)
        if self._apart is not None and "present" in signals:
            present = signals["present"]
            signals["present"] = tf.where(self._apart, 0.0, present)
        return signals

    def _measure(self, names, batch, query=None, again=None):
        epoch, rate = self._model.epoch, self._learning_rate
        return measure(names, batch, query, self._scope, epoch, rate, again)

    def weigh(self, signals, losses):
        """Returns the weights, the weighter's own loss, and its gradients."""
        if self._rests:
            return Combination(tf.ones_like(losses)), tf.constant(0.0), {}
        if self._holds:
            held = self._weighter.hold()
            return held.plain_where(self._apart), tf.constant(0.0), {}
        with tf.GradientTape() as tape:
            combination = self._weighter.weigh(**signals)
            penalty = tf.add_n([tf.constant(0.0), *self._weighter.losses])
            fixed = self._model.task_losses.loss_weights
            weighted = fixed * combination.shared * losses
            objective = tf.reduce_sum(weighted) + penalty
        own = self._weighter.trainable_variables
        gradients = tape.gradient(objective, own) if own else []
        share = self._scale / distribution.num_replicas()
        by_variable = {
            id(v): g * share for v, g in zip(own, gradients, strict=True)
        }
        combination = combination.stopped().plain_where(self._apart)
        return combination, tf.stop_gradient(penalty), by_variable

    def combine(self, batch, weights, own):
        """Returns the gradient of each trainable variable, or `None`."""
        if self._observes and keeps_gradients(self._weighter):
            batch.keep(self._scope, differentiates_step(self._weighter))
        rest = [v for v in self._variables if id(v) not in own]
        pulled = batch.combined(weights.shared, rest, weights.heads)
        found = {id(v): g for v, g in zip(rest, pulled, strict=True)} | own
        found |= batch.finely_combined(weights, self._scope)
        if self._observes and differentiates_step(self._weighter):
            before = functools.partial(
                StepBefore, self._optimizer, applied=found
            )
            batch.keep_step(self._scope, weights, before)
        return [found[id(v)] for v in self._variables]

    def first_not_finite(self, gradients):
        """Returns the first trainable variable whose gradient is not finite.

        As its position, or -1; the same on every replica.
        """
        first = first_not_finite(gradients, self._model.jit_compile)
        return distribution.first_position(first, len(gradients))

    def update(self, gradients, finite):
        """Moves the parameters, or puts states of layers and weighter back."""
        # What is only accumulated has no new parameters to learn from.
        self._learns = finite & _completes_update(self._optimizer)
        self._states.restore_unless(finite)
        distribution.apply_gradients(
            self._optimizer,
            gradients,
            self._variables,
            finite,
            self._model.jit_compile,
        )

    def observe(self, batch, data, finite):
        """Shows the weighter what the update led to, where it looks at it."""
        if not self._observes:
            return
        query = again = None
        if data.query is not None:
            query = self.forward(data.query, False, batch)
        if self._again is not None:
            again = self._again.run(lambda: self.forward(data.support))
        signals = self._measure(self._observes, batch, query, again)
        state = self._weighter.non_trainable_variables
        before = [tf.convert_to_tensor(variable) for variable in state]
        self._weighter.observe(**signals)
        keep_if(self._learns, state, before)

    def update_metrics(self, batch, finite):
        """Adds the batch to the compiled metrics, unless it was skipped."""
        metrics = self._model._compile_metrics
        before = [tf.convert_to_tensor(v) for v in metrics.variables]
        metrics.update_batch(batch)
        if len(metrics.variables) > len(before):
            raise ValueError(
                "A metric makes variables when it is first updated, which a "
                "step that is skipped cannot put back. Make them in its "
                "`__init__`."
            )
        keep_if(finite, metrics.variables, before)


def _completes_update(optimizer):
    """Whether this step's gradients are the last of an update."""
    completes = tf.constant(True)
    for part in parts_of(optimizer):
        if steps := part.gradient_accumulation_steps:
            completes &= tf.equal((compat.iterations(part) + 1) % steps, 0)
    return completes
