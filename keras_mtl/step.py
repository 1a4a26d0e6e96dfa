"""One training step: losses, signals, weights, update, observation."""

import keras
import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.data.support_query import SupportQuery
from keras_mtl.gradients import TaskGradients
from keras_mtl.precision import (
    all_finite,
    inner_optimizer,
    is_dynamic,
    keep_if,
    loss_scale,
)
from keras_mtl.signals import keeps_gradients, measure, resolve_scope


def train_step(model, data):
    """Updates parameters, weighter and metrics of `model` on one batch.

    A step whose losses or signals are not finite leaves parameters, optimizer,
    weighter and layer states as they were, and is counted as skipped. Where the
    optimizer accumulates gradients, `observe` follows the update alone.

    Args:
        model: A built and compiled `MultiTaskModel`.
        data: `(x, y, sample_weight)`, or a `SupportQuery` of two such batches.

    Returns:
        `TaskGradients` of the support batch, and a boolean scalar: whether
        the step was taken.
    """
    data = data if isinstance(data, SupportQuery) else SupportQuery(data, None)
    batch = keras.utils.unpack_x_y_sample_weight(data.support)
    weighter, optimizer = model.weighter, model.optimizer
    common = model.has_common_representation(batch[0])
    scope = resolve_scope(weighter, common)
    scale, learning_rate = loss_scale(optimizer), _learning_rate(optimizer)
    states = _states(model)
    before = [tf.convert_to_tensor(state) for state in states]

    settings = {"scale": scale, "scope": scope}
    support = TaskGradients(model, batch, training=True, **settings)
    signals = measure(
        weighter.needs, support, None, scope, model.epoch, learning_rate
    )
    (weights, of_heads), penalty, weighter_gradients = _weigh(
        model, signals, support.losses
    )
    if keeps_gradients(weighter):
        support.pull_tasks(scope)
    shared = [
        v for v in model.trainable_variables if id(v) not in weighter_gradients
    ]
    gradients = support.combined(weights, shared, of_heads)
    finite = all_finite(
        [*signals.values(), support.losses, weights, support.regularisation]
    )
    if is_dynamic(optimizer):
        # Local gradients may overflow on one replica only.
        finite = distribution.everywhere(finite & all_finite(gradients))
    # What is only accumulated has no new parameters to learn from.
    learns = finite & _completes_update(optimizer)
    own = weighter.trainable_variables
    own_gradients = [weighter_gradients[id(v)] * scale for v in own]
    keep_if(finite, states, before)
    distribution.apply_gradients(
        optimizer,
        [*gradients, *own_gradients],
        [*shared, *own],
        finite,
        model.jit_compile,
    )

    if weighter.observes:
        query = None
        if data.query is not None:
            batch = keras.utils.unpack_x_y_sample_weight(data.query)
            query = TaskGradients(model, batch, training=False, **settings)
        observed = measure(
            weighter.observes, support, query, scope, model.epoch, learning_rate
        )
        # A weighter takes no notice of signals that are not finite.
        poison = tf.where(learns, 0.0, float("nan"))
        weighter.observe(**{k: v + poison for k, v in observed.items()})
    model._loss_tracker.update_state(support, weights, penalty, finite)
    return support, finite


def _completes_update(optimizer):
    """Whether this step's gradients are the last of an update."""
    inner = inner_optimizer(optimizer)
    steps = inner.gradient_accumulation_steps
    return not steps or tf.equal((inner._iterations + 1) % steps, 0)


def _learning_rate(optimizer):
    # Read before the update: a schedule moves on with it.
    learning_rate = inner_optimizer(optimizer).learning_rate
    return tf.identity(tf.convert_to_tensor(learning_rate))


def _states(model):
    """Returns the variables that a skipped step would spoil."""
    own = model.weighter.non_trainable_variables
    mine = {id(v) for v in own}
    return [*own] + [
        variable
        for variable in model.non_trainable_variables
        if id(variable) not in mine and "float" in variable.dtype
    ]


def _weigh(model, signals, losses):
    """Returns the weights, the weighter's own loss, and its gradients."""
    weighter = model.weighter
    with tf.GradientTape() as tape:
        combination = weighter.weigh(**signals)
        weights = combination.shared
        penalty = tf.add_n([tf.constant(0.0), *weighter.losses])
        fixed = model.task_losses.loss_weights
        objective = tf.reduce_sum(fixed * weights * losses) + penalty
    own = weighter.trainable_variables
    gradients = tape.gradient(objective, own) if own else []
    replicas = distribution.num_replicas()
    shares = {id(v): g / replicas for v, g in zip(own, gradients, strict=True)}
    return combination.stopped(), tf.stop_gradient(penalty), shares
