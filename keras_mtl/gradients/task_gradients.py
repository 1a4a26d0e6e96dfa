"""The tasks' losses on one batch, and their gradients."""

import tensorflow as tf

from keras_mtl.gradients import roles
from keras_mtl.gradients.at_representation import signed_sums
from keras_mtl.gradients.backward import BackwardPasses
from keras_mtl.gradients.combining import by_coordinate, by_layer, by_rows
from keras_mtl.gradients.forward import ForwardPass
from keras_mtl.gradients.over_scope import over_scope
from keras_mtl.gradients.sizes import scope_layers
from keras_mtl.gradients.split_gramian import split_gramian
from keras_mtl.gradients.task_by_task import task_by_task
from keras_mtl.gradients.uses import Uses


class TaskGradients(ForwardPass):
    """One forward pass, and the backward passes that are asked of it.

    Gradients stay local to the replica and are multiplied by the optimizer's
    loss scale; every value returned by a method other than `combined` and
    `finely_combined` is global, float32 and without that scale.

    Args:
        model: A built and compiled `MultiTaskModel`.
        batch: Tuple `(x, y, sample_weight)`.
        training: Boolean, passed to the layers.
        scale: Float scalar, the optimizer's loss scale.
        scope: String, whose gradients of single tasks will be asked for, or
            `None`.
        late: Boolean. Whether losses and numbers of labels are summed over
            the replicas no earlier than `gramian(scope, other)`, with the
            tasks' gradients.

    Attributes, beside those of `ForwardPass`:
        loss_weights: `(K,)` float32, those given to `compile`.
    """

    def __init__(
        self, model, batch, training, scale=1.0, scope=None, late=False
    ):
        self.loss_weights = model.task_losses.loss_weights
        self._scale = scale
        self._over_scope, self._step = {}, None
        uses = None
        if scope is not None and not tf.executing_eagerly():
            uses = Uses(roles.task_variables(model))
        tape = tf.GradientTape(persistent=True)
        with tape:
            super().__init__(model, batch, training, scope is not None, late)
        self._backward = BackwardPasses(self, tape, uses, scale)

    def over(self, scope, other=None, between_batches=False):
        """Returns the `ScopeGradients` of a scope, made once.

        Args:
            scope: String, whose gradients.
            other: `TaskGradients` of the batch to be compared with, or `None`.
            between_batches: Boolean, whether another batch will be compared
                with this one.
        """
        if scope not in self._over_scope:
            theirs = None if other is None else other.over(scope)
            self._over_scope[scope] = over_scope(
                self._backward, scope, theirs, between_batches
            )
        return self._over_scope[scope]

    def gramian(self, scope, other=None):
        """Returns the `(K, K)` inner products of the tasks' gradients.

        Args:
            scope: String, whose gradients.
            other: `TaskGradients` whose tasks are the columns; this one's own
                by default.
        """
        mine = self.over(scope, other)
        theirs = None if other is None else other.over(scope)
        scales = self._scale * (self if other is None else other)._scale
        return self.divided_rows(mine.products(theirs)) / scales

    def norms(self, scope):
        """Returns the `(K,)` norms of the tasks' gradients."""
        squares = self.over(scope).squares()
        # Rounding may leave less than nothing of a vanishing gradient.
        return tf.sqrt(tf.maximum(squares, 0.0)) / self._scale

    def gramians(self, scope):
        """Returns `{variable's path: (K, K)}`, the shares in `gramian`.

        Args:
            scope: String, whose gradients; not those of the representation.
        """
        variables = roles.scope_variables(self.model, scope)
        found = self._shares(scope, variables)
        return {v.path: found[id(v)] for v in variables}

    def gramian_by_layer(self, scope):
        """Returns the `(layers, K, K)` shares in `gramian` of each layer.

        Raises:
            ValueError: If the scope is the representation.
        """
        layers = scope_layers(self.model, scope)
        found = self._shares(scope, [v for layer in layers for v in layer])
        return tf.stack(
            [tf.add_n([found[id(v)] for v in layer]) for layer in layers]
        )

    def _shares(self, scope, variables):
        found = self.over(scope).by_variable(variables)
        return {key: share / self._scale**2 for key, share in found.items()}

    def matrix(self, scope):
        """Returns the `(K, P)` gradients over a scope.

        At the representation they are summed over the rows of the batch, as
        those of a bias that is added to it.
        """
        if scope == "representation":
            over = self.over(scope)
        else:  # In full, whatever `gramian` does.
            over = task_by_task(self._backward, scope)
        return over.matrix() / self._scale

    def signed_sums(self):
        """Returns the `(K, D)` gradients at the cut, summed.

        Over the rows of the batch, each times the sign of the cut.
        """
        return signed_sums(self._backward) / self._scale

    def split_gramian(self, scope):
        """Returns the `(K, K)` inner products of two halves' gradients.

        Row i: task i's gradient on the even rows; column j: task j's on the
        odd ones. A task without a label in one half has a row and a column of
        zeros.

        Raises:
            ValueError: If the scope is the representation.
        """
        return split_gramian(self, self._backward, scope)

    def keep(self, scope, in_full=False):
        """Computes what `gramian` takes of `other`, before an update.

        Args:
            scope: String, whose gradients.
            in_full: Boolean, whether `falls` will need them as they are.
        """
        if in_full and scope != "representation":
            self._over_scope[scope] = task_by_task(self._backward, scope)
        self.over(scope, between_batches=True).keep()

    def keep_step(self, scope, weights, before):
        """Keeps what the update will overwrite, for `falls`.

        Args:
            scope: String, whose gradients; kept in full.
            weights: `Combination`, with which the update is made.
            before: Function from a loss scale, the tasks' coefficients in the
                gradient of each variable (a dict by its id), their gradients
                (alike) and a list of variables to an object whose `moved()`
                makes of the gradients what the update makes of them.
        """
        if scope == "representation":
            return  # Refused by `falls`.
        over = self.over(scope)
        heads = {id(v) for v in roles.head_variables(self.model)}
        of_heads = weights.shared if weights.heads is None else weights.heads
        coefficients = {
            id(v): self.loss_weights
            * (of_heads if id(v) in heads else weights.shared)
            for v in over.variables
        }
        self._step = before(
            self._scale, coefficients, over.summed(), over.variables
        )

    def falls(self, scope, support):
        """Returns by how much the update by `support` lowers these losses.

        Args:
            scope: String, whose gradients.
            support: `TaskGradients` of the batch of the update, kept for this.

        Returns:
            `(K, K)` float32: row t, column j is of this batch's task t for a
            unit of task j's weight.
        """
        mine, theirs = self.over(scope, support), support.over(scope)
        if scope != "representation":
            moved = support._step.moved()
            theirs = theirs.known_as(moved, support._backward)
        scales = self._scale * support._scale
        return self.divided_rows(mine.products(theirs)) / scales

    def combined(self, weights, variables, of_heads=None):
        """Returns this replica's share of the gradient of the objective.

        Args:
            weights: `(K,)` float32, of the tasks' shared gradients.
            variables: List of trainable variables.
            of_heads: `(K,)` float32, of the heads' gradients; those of the
                shared ones by default. The fixed loss weights multiply both.

        Returns:
            List of scaled gradients, `None` where nothing reaches.
        """
        fixed, weighted = self.loss_weights, self._backward.weighted
        if of_heads is None:
            pulled = weighted(fixed * weights, variables)
        else:
            heads = {id(v) for v in roles.head_variables(self.model)}
            mine = [v for v in variables if id(v) in heads]
            rest = [v for v in variables if id(v) not in heads]
            pulled = weighted(fixed * of_heads, mine)
            pulled |= weighted(fixed * weights, rest)
        return [pulled[id(v)] for v in variables]

    def finely_combined(self, weights, scope):
        """Returns gradients that are no sum of the tasks' by one weight each.

        Args:
            weights: `Combination`.
            scope: String, whose gradients it combines.

        Returns:
            Dict from `id(variable)` to this replica's share of its gradient.
        """
        given, found = (self._backward, self.loss_weights), {}
        if weights.coordinates is not None:
            found |= by_coordinate(*given, weights.coordinates)
        if weights.rows is not None:
            found |= by_rows(*given, weights.rows, scope)
        if weights.layers is not None:
            over = self.over(scope)
            found |= by_layer(*given, weights.layers, scope, over)
        return found
