"""Signals that need each task's whole gradient, not only inner products."""

import math

import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.gradients import roles
from keras_mtl.gradients.halved import halved_products, rows_never_meet
from keras_mtl.gradients.halves import EVEN, ODD, HalfLosses
from keras_mtl.gradients.representation import representation_pass
from keras_mtl.gradients.sums import inner_products, weighted_sum


class GradientsInFull:
    """What `TaskGradients` measures by a backward pass for each task."""

    def matrix(self, scope):
        """Returns the `(K, P)` gradients over a scope.

        At the representation they are summed over the rows of the batch, as
        those of a bias that is added to it.
        """
        if scope == "representation":
            at_lowest = self._at_lowest
            number = len(roles.of(self._model).reach.lowest)
            return self._row_sums(at_lowest, number, lambda sums, _: sums)
        sources = self._reaching(scope)
        columns = [
            tf.stack([_flat(gradient, source) for gradient in gradients])
            for source, gradients in zip(
                sources, self._passes.summed(sources), strict=True
            )
        ]
        return tf.concat(columns, axis=1) / self._scale

    def _reaching(self, scope):
        """Returns the variables of a scope, if no task's gradient is hidden.

        By an operation without one that the graph does not tell.
        """
        sources = roles.scope_variables(self._model, scope)
        columns = self._passes.pull(sources, self._scopes(scope))
        by_task = zip(*columns, strict=True)
        apart = roles.tasks_apart(self._model, scope)
        for task, gradients, is_apart in zip(
            self._model.task_names, by_task, apart, strict=True
        ):
            absent = isinstance(self.outputs, dict) and task not in self.outputs
            absent |= is_apart
            if not absent and all(g is None for g in gradients):
                raise ValueError(roles.unreached(task, scope))
        return sources

    def signed_sums(self):
        """Returns the `(K, D)` gradients at the cut, summed.

        Over the rows of the batch, each times the sign of the cut.
        """
        roles.check_cut(self._model)
        return self._row_sums(
            self._at_cut,
            len(roles.of(self._model).reach.below),
            lambda cotangents, leaf: cotangents * tf.sign(leaf),
        )

    def finely_combined(self, weights, scope):
        """Returns gradients that are no sum of the tasks' by one weight each.

        Args:
            weights: `Combination`.
            scope: String, whose gradients it combines.

        Returns:
            Dict from `id(variable)` to this replica's share of its gradient.
        """
        found = {}
        if weights.coordinates is not None:
            found |= self._by_coordinate(weights.coordinates)
        if weights.rows is not None:
            found |= self._by_rows(weights.rows, scope)
        if weights.layers is not None:
            found |= self._by_layer(weights.layers, scope)
        return found

    def _by_coordinate(self, coordinates):
        """Returns gradients as of a layer at the cut that weighs them there.

        What variables do above it has the plain gradients of the tasks.
        """
        trunk = roles.of(self._model).trunk
        coefficients = self.loss_weights[:, None] * coordinates
        cotangents = self._weighted_at_cut(coefficients)
        pulled = self._local.through(self._leaves, cotangents, trunk)
        found = dict(zip(map(id, trunk), pulled, strict=True))
        others = [
            v for v in roles.shared_variables(self._model) if id(v) not in found
        ]
        if others:
            plain = self._local.of_objective(self.loss_weights, others)
            changed = self._weighted_at_cut(
                coefficients - self.loss_weights[:, None]
            )
            changes = self._local.tape.gradient(
                self._leaves, others, output_gradients=changed
            )
            for v, *both in zip(others, plain, changes, strict=True):
                found[id(v)] = weighted_sum(both)
        return found

    def _weighted_at_cut(self, coefficients):
        """Returns the cotangents of the leaves, weighed by coordinate.

        Args:
            coefficients: `(K, D)` float32.
        """
        number = len(roles.of(self._model).reach.below)
        shapes = [leaf.shape[1:] for leaf in self._leaves[:number]]
        sizes = [shape.num_elements() for shape in shapes]
        parts = tf.split(coefficients, sizes, axis=1)
        cotangents = []
        for place, stacked in enumerate(self._at_cut.stacked):
            # Where tasks passed the encoder one by one, each has all leaves.
            part, shape = parts[place % number], shapes[place % number]
            factors = tf.reshape(part, [part.shape[0], 1, *shape])
            total = tf.reduce_sum(factors * tf.cast(stacked, tf.float32), 0)
            cotangents.append(tf.cast(total, stacked.dtype))
        return cotangents

    def _by_rows(self, rows, scope):
        variables = roles.scope_variables(self._model, scope)
        share = self._scale / distribution.num_replicas()
        total = tf.linalg.matvec(rows, self.loss_weights, transpose_a=True)
        sizes = [math.prod(variable.shape) for variable in variables]
        own = self._local.of_own(variables)
        found = {}
        for variable, part, extra in zip(
            variables, tf.split(share * total, sizes), own, strict=True
        ):
            part = tf.cast(tf.reshape(part, variable.shape), variable.dtype)
            found[id(variable)] = weighted_sum([part, extra])
        return found

    def _row_sums(self, at_leaves, number, of_leaf):
        """Returns `(K, D)`, summed over the rows of all replicas.

        Args:
            at_leaves: The tasks' gradients at `number` leaves, or at these of
                each task.
            number: Integer.
            of_leaf: Function from a leaf's gradients and the leaf to the
                summands.
        """
        sums = [0.0] * number
        pairs = zip(at_leaves.leaves, at_leaves.stacked, strict=True)
        for place, pair in enumerate(pairs):
            leaf, stacked = (tf.cast(tensor, tf.float32) for tensor in pair)
            total = tf.reduce_sum(of_leaf(stacked, leaf), axis=1)
            width = leaf.shape[1:].num_elements()
            total = tf.reshape(total, [stacked.shape[0], width])
            sums[place % number] += total
        return distribution.all_sum(tf.concat(sums, axis=1)) / self._scale

    def split_gramian(self, scope):
        """Returns the `(K, K)` inner products of two halves' gradients.

        Row i: task i's gradient on the even rows; column j: task j's on the
        odd ones. A task without a label in one half has a row and a column of
        zeros.

        Raises:
            ValueError: If the scope is the representation.
        """
        if scope == "representation":
            raise ValueError(
                "Two halves of a batch have no rows of the representation in "
                f"common. Pass scope='shared' to {self._model.weighter.name!r}."
                f" Received: scope={scope!r}"
            )
        sources = roles.scope_variables(self._model, scope)
        even, odd = (
            HalfLosses(self._model, self._local.tape, self, parity, self._scale)
            for parity in (EVEN, ODD)
        )
        total = self._halved(scope, sources, even.losses, odd.losses)
        if total is None:
            total = tf.zeros((self._local.num_tasks,) * 2)
            for rows, columns in zip(
                _by_source(even.losses, sources),
                _by_source(odd.losses, sources),
                strict=True,
            ):
                total += inner_products(rows, columns)
        present = even.present * odd.present
        return total * present[:, None] * present / self._scale**2

    def _halved(self, scope, sources, *halves):
        """Returns the inner products of halves layer by layer, or `None`."""
        if (
            not self._goes_by_layer(scope)
            or self._local.owners is not None
            or self._own is not None
            or not rows_never_meet(self._model.task_losses, self.outputs)
        ):
            return None
        units = roles.of(self._model).by_unit
        passes = [
            representation_pass(losses, self._leaves, units, self._uses)
            for losses in halves
        ]
        heads = {id(v) for variables in units for v in variables}
        return halved_products(sources, heads, self._uses, self._local, passes)


def _flat(gradient, variable):
    """Returns a gradient as float32 numbers in a row, 0 where it is `None`."""
    if gradient is None:
        return tf.zeros(math.prod(variable.shape))
    gradient = tf.cast(tf.convert_to_tensor(gradient), tf.float32)
    return tf.reshape(gradient, [math.prod(variable.shape)])


def _by_source(losses, sources):
    """Returns for each source the global gradients of the K tasks."""
    pulled = [
        distribution.all_sum(losses.of_task(task, sources))
        for task in range(losses.num_tasks)
    ]
    return map(list, zip(*pulled, strict=True))
