"""The tasks' losses on one batch, and their gradients."""

import keras
import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.gradients import roles
from keras_mtl.gradients.sparse import compact_rows


class TaskGradients:
    """One forward pass, and the backward passes that are asked of it.

    Gradients stay local to the replica and are multiplied by the optimizer's
    loss scale; every value returned by a method other than `combined` is
    global, float32 and without that scale.

    Args:
        model: A built and compiled `MultiTaskModel`.
        batch: Tuple `(x, y, sample_weight)`.
        training: Boolean, passed to the layers.
        scale: Float scalar, the optimizer's loss scale.
        apart: Boolean, whether gradients of single tasks will be asked for.

    Attributes:
        outputs: Predictions, a dict by task name or stacked.
        labels: Labels, arranged alike.
        sample_weight: Weights, arranged alike, or `None`.
        losses: `(K,)` float32, global mean loss of each task.
        counts: `(K,)` float32, global number of labels.
        present: `(K,)` float32, 1 where `counts` is above 0.
        rows: Float scalar, global number of rows.
        regularisation: Float scalar, the layers' own losses.
    """

    def __init__(self, model, batch, training, scale=1.0, apart=False):
        x, y, sample_weight = (
            keras.tree.map_structure(_tensor, part) for part in batch
        )
        self.labels, self.sample_weight = y, sample_weight
        self._model, self._scale = model, scale
        self._tape = tf.GradientTape(persistent=True)
        self._cached = {}
        with self._tape:
            self.outputs, self._representation = model(
                x, training=training, return_representation=True, apart=apart
            )
            local = model.task_losses(y, self.outputs, sample_weight)
            rows = tf.shape(keras.tree.flatten(x)[0])[0]
            sums, self.counts, self.rows = _global_totals(local, rows)
            divided = tf.logical_and(self.counts > 0.0, local.divides)
            denominators = tf.where(divided, self.counts, 1.0)
            self._local = _divided(local.sums, denominators)
            own = [tf.cast(loss, tf.float32) for loss in model.losses]
            self._own = tf.add_n([tf.constant(0.0), *own])
        self.losses = sums / denominators
        self.present = tf.cast(self.counts > 0.0, tf.float32)
        self.regularisation = tf.stop_gradient(self._own)

    def combined(self, weights, variables, scales_heads=True):
        """Returns this replica's share of the gradient of the objective.

        Args:
            weights: `(K,)` float32, of the tasks' shared gradients.
            variables: List of trainable variables.
            scales_heads: Whether `weights` scale the heads' gradients too;
                otherwise these follow the fixed loss weights.

        Returns:
            List of scaled gradients, `None` where nothing reaches.
        """
        fixed = self._model.task_losses.loss_weights
        if scales_heads:
            return self._pull(fixed * weights, variables)
        heads = {id(v) for v in roles.head_variables(self._model)}
        mine = [v for v in variables if id(v) in heads]
        rest = [v for v in variables if id(v) not in heads]
        pulled = dict(zip(map(id, mine), self._pull(fixed, mine), strict=True))
        pulled |= zip(
            map(id, rest), self._pull(fixed * weights, rest), strict=True
        )
        return [pulled[id(v)] for v in variables]

    def gramian(self, scope, other=None):
        """Returns the `(K, K)` inner products of the tasks' gradients.

        Args:
            scope: String, whose gradients.
            other: `TaskGradients` whose tasks are the columns; this one's own
                by default.
        """
        mine = self._of(scope)
        theirs = mine if other is None else other._of(scope)
        num_tasks = len(mine)
        total = tf.zeros((num_tasks, num_tasks))
        for column in range(len(mine[0])):
            rows = [task[column] for task in mine]
            columns = [task[column] for task in theirs]
            total += _inner_products(rows, columns)
        scale = self._scale * (self if other is None else other)._scale
        if scope == "representation":
            total = distribution.all_sum(total)
        return total / scale

    def norms(self, scope):
        """Returns the `(K,)` norms of the tasks' gradients."""
        squares = [
            tf.add_n([_square(g) for g in task if g is not None])
            for task in self._of(scope)
        ]
        squares = tf.stack(squares)
        if scope == "representation":
            squares = distribution.all_sum(squares)
        return tf.sqrt(squares) / self._scale

    def _pull(self, weights, sources):
        share = self._scale / distribution.num_replicas()
        losses, cotangents = self._local, weights * self._scale
        if isinstance(losses, list):
            cotangents = tf.unstack(cotangents)
        else:
            losses, cotangents = [losses], [cotangents]
        return self._tape.gradient(
            [*losses, self._own], sources, output_gradients=[*cotangents, share]
        )

    def _of(self, scope):
        """Returns for each task its gradients, summed over the replicas."""
        if scope in self._cached:
            return self._cached[scope]
        if scope == "representation":
            sources = self._known_representation()
        else:
            sources = roles.scope_variables(self._model, scope)
        names = self._model.task_names
        pulled = [self._alone(number, sources) for number in range(len(names))]
        for task, gradients in zip(names, pulled, strict=True):
            if all(g is None for g in gradients):
                raise ValueError(roles.unreached(task, scope))
        if scope != "representation":
            pulled = [distribution.all_sum(task) for task in pulled]
        self._cached[scope] = pulled
        return pulled

    def _alone(self, number, sources):
        """Returns the gradients of one task, on this replica."""
        losses, cotangent = self._local, self._scale
        if isinstance(losses, list):
            losses = losses[number]
        else:
            cotangent *= tf.one_hot(number, losses.shape[0])
        return self._tape.gradient(losses, sources, output_gradients=cotangent)

    def _known_representation(self):
        if not self._model.representation_known:
            raise ValueError(
                f"{type(self._model.weighter).__name__} needs gradients of the "
                "representation, but the model does not say which tensor that "
                'is. Pass representation="layer_name" to from_functional(), or '
                'scope="shared" to the weighter.'
            )
        return keras.tree.flatten(self._representation)


def _divided(sums, denominators):
    """Returns the tasks' losses: a list of scalars, or `(K,)` as `sums` are."""
    if not isinstance(sums, list):
        return sums / denominators
    pairs = zip(sums, tf.unstack(denominators), strict=True)
    return [total / denominator for total, denominator in pairs]


def _tensor(leaf):
    return None if leaf is None else tf.convert_to_tensor(leaf)


def _global_totals(local, rows):
    """Returns sums and counts of each task and the rows, over replicas."""
    local = [tf.convert_to_tensor(v) for v in (local.sums, local.counts)]
    num_tasks = local[0].shape[0]
    totals = distribution.all_sum(
        tf.concat([*local, [tf.cast(rows, tf.float32)]], axis=0)
    )
    sums, counts, rows = tf.split(
        tf.stop_gradient(totals), [num_tasks, num_tasks, 1]
    )
    return sums, counts, rows[0]


def _inner_products(rows, columns):
    """Returns the inner products of two lists of one variable's gradients."""
    both = [g for g in (*rows, *columns) if g is not None]
    if not both:
        return 0.0
    if all(isinstance(g, tf.IndexedSlices) for g in both):
        compact = compact_rows([*rows, *columns])
        rows, columns = compact[: len(rows)], compact[len(rows) :]
        both = [g for g in compact if g is not None]
    zeros = tf.zeros_like(both[0])
    return tf.matmul(
        _stack(rows, zeros), _stack(columns, zeros), transpose_b=True
    )


def _stack(gradients, zeros):
    flat = [tf.reshape(zeros if g is None else g, [-1]) for g in gradients]
    return tf.cast(tf.stack(flat), tf.float32)


def _square(gradient):
    if isinstance(gradient, tf.IndexedSlices):
        (gradient,) = compact_rows([gradient])
    return tf.reduce_sum(tf.square(tf.cast(gradient, tf.float32)))
