"""The tasks' losses on one batch, and their gradients."""

import keras
import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.gradients import roles
from keras_mtl.gradients.layerwise import LayerwiseGradients
from keras_mtl.gradients.parts import make_parts
from keras_mtl.gradients.representation import representation_pass
from keras_mtl.gradients.sparse import compact_rows
from keras_mtl.gradients.uses import Uses


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
        scope: String, whose gradients of single tasks will be asked for, or
            `None`.

    Attributes:
        outputs: Dict from task name to predictions.
        labels: Dict from task name to labels.
        sample_weight: Dict from task name to weights, or `None`.
        losses: `(K,)` float32, global mean loss of each task.
        counts: `(K,)` float32, global number of labels.
        present: `(K,)` float32, 1 where `counts` is above 0.
        rows: Float scalar, global number of rows.
        regularisation: Float scalar, the layers' own losses.
    """

    def __init__(self, model, batch, training, scale=1.0, scope=None):
        x, y, sample_weight = (
            keras.tree.map_structure(_tensor, part) for part in batch
        )
        self.labels, self.sample_weight = y, sample_weight
        self._model, self._scale = model, scale
        self._tape = tf.GradientTape(persistent=True)
        self._at_hand, self._at_z = {}, None
        self._uses = None
        if scope is not None and not tf.executing_eagerly():
            self._uses = Uses(roles.task_variables(model))
        with self._tape:
            self.outputs, self._representation = model(
                x,
                training=training,
                return_representation=True,
                apart=scope is not None,
            )
            local = model.task_losses(y, self.outputs, sample_weight)
            rows = tf.shape(keras.tree.flatten(x)[0])[0]
            sums, self.counts, self.rows = _global_totals(local, rows)
            divided = tf.logical_and(self.counts > 0.0, local.divides)
            denominators = tf.where(divided, self.counts, 1.0)
            self._local = [
                total / denominator
                for total, denominator in zip(
                    local.sums, tf.unstack(denominators), strict=True
                )
            ]
            own = [tf.cast(loss, tf.float32) for loss in model.losses]
            self._own = tf.add_n([tf.constant(0.0), *own])
        self.losses = sums / denominators
        self.present = tf.cast(self.counts > 0.0, tf.float32)
        self.regularisation = tf.stop_gradient(self._own)

    def combined(self, weights, variables, scales_heads=True):
        """Returns this replica's share of the gradient of the objective.

        Gradients of tasks that are at hand are added up; what is missing takes
        one backward pass.

        Args:
            weights: `(K,)` float32, of the tasks' shared gradients.
            variables: List of trainable variables.
            scales_heads: Whether `weights` scale the heads' gradients too;
                otherwise these follow the fixed loss weights.

        Returns:
            List of scaled gradients, `None` where nothing reaches.
        """
        fixed = self._model.task_losses.loss_weights
        heads = {id(v) for v in roles.head_variables(self._model)}
        if scales_heads:
            pulled = self._gathered(fixed * weights, variables)
        else:
            mine = [v for v in variables if id(v) in heads]
            rest = [v for v in variables if id(v) not in heads]
            pulled = self._gathered(fixed, mine)
            pulled |= self._gathered(fixed * weights, rest)
        return [pulled[id(v)] for v in variables]

    def gramian(self, scope, other=None):
        """Returns the `(K, K)` inner products of the tasks' gradients.

        Args:
            scope: String, whose gradients.
            other: `TaskGradients` whose tasks are the columns; this one's own
                by default.
        """
        scale = self._scale * (self if other is None else other)._scale
        if scope != "representation":
            layerwise, variables = self._split(scope, other)
            total = self._products(variables, other)
            if layerwise is not None:
                total += layerwise.gramian()
        elif other is None and self._shares_representation:
            total = distribution.all_sum(self._representation_pass().gramian())
        else:
            sources = self._known_representation()
            self._check_reached(scope, sources)
            total = distribution.all_sum(self._products(sources, other))
        return total / scale

    def norms(self, scope):
        """Returns the `(K,)` norms of the tasks' gradients."""
        if scope != "representation":
            layerwise, variables = self._split(scope)
            squares = self._squares(variables)
            if layerwise is not None:
                squares += layerwise.squared_norms()
        elif self._shares_representation:
            squares = self._representation_pass().squared_norms()
            squares = distribution.all_sum(squares)
        else:
            sources = self._known_representation()
            self._check_reached(scope, sources)
            squares = distribution.all_sum(self._squares(sources))
        return tf.sqrt(squares) / self._scale

    def pull_tasks(self, scope):
        """Computes each task's gradient, for `combined` to add up."""
        if scope != "representation":
            self._of_tasks(roles.scope_variables(self._model, scope))

    @property
    def _shares_representation(self):
        known = self._model.representation_known
        return known and not self._model.is_separate(self._representation)

    def _split(self, scope, other=None):
        """Returns gradients layer by layer, and the variables left over."""
        variables = roles.scope_variables(self._model, scope)
        if (
            other is not None
            or self._uses is None
            or not self._shares_representation
            or distribution.num_replicas() > 1
        ):
            self._check_reached(scope, variables)
            return None, variables
        leaves = keras.tree.flatten(self._representation)
        mine = {id(v) for v in roles.trunk_variables(self._model)}
        parts, missed = make_parts(
            [v for v in variables if id(v) in mine],
            *(self._uses, self._tape, leaves, self._local),
        )
        rest = [v for v in variables if id(v) not in mine]
        if not parts:
            return None, [*missed, *rest]
        cotangents = self._representation_pass().stacked
        layerwise = LayerwiseGradients(self._tape, leaves, parts, cotangents)
        return layerwise, [*missed, *rest]

    def _representation_pass(self):
        if self._at_z is None:
            self._at_z = representation_pass(
                self._tape,
                self._local,
                keras.tree.flatten(self._known_representation()),
                roles.variables_by_head(self._model),
                self._uses,
                self._scale,
            )
        return self._at_z

    def _gathered(self, coefficients, variables):
        """Returns `{id(variable): gradient}` of a weighted sum of the tasks."""
        replicas = distribution.num_replicas()
        shares = tf.unstack(coefficients / replicas)
        found = {
            id(v): _weighted_sum(self._at_hand[id(v)], shares)
            for v in variables
            if id(v) in self._at_hand
        }
        if self._at_z:
            found = self._at_z.of_heads(coefficients) | found
        own = [v for v in variables if id(v) in found]
        share = self._scale / replicas
        pulled = self._tape.gradient(self._own, own, output_gradients=share)
        found = {
            id(v): _weighted_sum([found[id(v)], gradient], [1.0, 1.0])
            for v, gradient in zip(own, pulled, strict=True)
        }
        trunk = {id(v) for v in roles.trunk_variables(self._model)} - set(found)
        trunk = [v for v in variables if id(v) in trunk]
        if self._at_z and trunk:
            pulled = self._tape.gradient(
                [*self._at_z.leaves, self._own],
                trunk,
                output_gradients=[*self._at_z.combined(coefficients), share],
            )
            found |= zip(map(id, trunk), pulled, strict=True)
        missing = [v for v in variables if id(v) not in found]
        if missing:
            pulled = self._pull(coefficients, missing)
            found |= zip(map(id, missing), pulled, strict=True)
        return found

    def _pull(self, coefficients, sources):
        share = self._scale / distribution.num_replicas()
        return self._tape.gradient(
            [*self._local, self._own],
            sources,
            output_gradients=[*tf.unstack(coefficients * self._scale), share],
        )

    def _products(self, sources, other=None):
        """Returns the `(K, K)` inner products over these sources."""
        num_tasks = len(self._local)
        total = tf.zeros((num_tasks, num_tasks))
        mine = self._of_tasks(sources)
        theirs = mine if other is None else other._of_tasks(sources)
        for rows, columns in zip(mine, theirs, strict=True):
            total += _inner_products(rows, columns)
        return total

    def _squares(self, sources):
        """Returns the `(K,)` squared norms over these sources."""
        squares = tf.zeros(len(self._local))
        for gradients in self._of_tasks(sources):
            squares += tf.stack([_square(gradient) for gradient in gradients])
        return squares

    def _of_tasks(self, sources):
        """Returns for each source the gradients of the K tasks.

        Those of variables are summed over the replicas.
        """
        missing = [s for s in sources if id(s) not in self._at_hand]
        if missing:
            pulled = [
                self._tape.gradient(loss, missing, output_gradients=self._scale)
                for loss in self._local
            ]
            for source, gradients in zip(
                missing, zip(*pulled, strict=True), strict=True
            ):
                gradients = list(gradients)
                if not tf.is_tensor(source):
                    gradients = distribution.all_sum(gradients)
                self._at_hand[id(source)] = gradients
        return [self._at_hand[id(source)] for source in sources]

    def _check_reached(self, scope, sources):
        by_task = zip(*self._of_tasks(sources), strict=True)
        for task, gradients in zip(
            self._model.task_names, by_task, strict=True
        ):
            if all(gradient is None for gradient in gradients):
                raise ValueError(roles.unreached(task, scope))

    def _known_representation(self):
        if not self._model.representation_known:
            raise ValueError(
                f"{type(self._model.weighter).__name__} needs gradients of the "
                "representation, but the model does not say which tensor that "
                'is. Pass representation="layer_name" to from_functional(), or '
                'scope="shared" to the weighter.'
            )
        return keras.tree.flatten(self._representation)


def _tensor(leaf):
    return None if leaf is None else tf.convert_to_tensor(leaf)


def _global_totals(local, rows):
    """Returns sums and counts of each task and the rows, over replicas."""
    totals = distribution.all_sum(
        tf.stack([*local.sums, *local.counts, tf.cast(rows, tf.float32)])
    )
    num_tasks = len(local.sums)
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
    if gradient is None:
        return 0.0
    if isinstance(gradient, tf.IndexedSlices):
        (gradient,) = compact_rows([gradient])
    return tf.reduce_sum(tf.square(tf.cast(gradient, tf.float32)))


def _weighted_sum(gradients, coefficients):
    """Returns the weighted sum of gradients of one variable, or `None`."""
    given = [
        (g, tf.cast(c, g.dtype))
        for g, c in zip(gradients, coefficients, strict=True)
        if g is not None
    ]
    if not given:
        return None
    if all(isinstance(g, tf.IndexedSlices) for g, _ in given):
        return tf.IndexedSlices(
            tf.concat([c * g.values for g, c in given], axis=0),
            tf.concat([g.indices for g, _ in given], axis=0),
            given[0][0].dense_shape,
        )
    return tf.add_n([c * tf.convert_to_tensor(g) for g, c in given])
