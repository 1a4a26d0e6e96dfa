"""The tasks' gradients over a scope, by a backward pass for each task."""

import math

import tensorflow as tf

from keras_mtl.gradients import roles
from keras_mtl.gradients.passes import PassPerTask
from keras_mtl.gradients.sums import weighted_sum


class TaskByTask:
    """Each task's gradients by a pass of its own: what always works.

    Args:
        passes: `PassPerTask`.
        variables: List of variables.
        scopes: List of K sets of `id(variable)`, where each task is measured,
            or `None` where all are measured everywhere.

    Attributes:
        variables, passes: As passed.
    """

    def __init__(self, passes, variables, scopes=None):
        self.variables, self.passes = variables, passes
        self._scopes = scopes

    def keep(self):
        """Computes what another batch's `products` take of this one."""
        self.passes.pull(self.variables)

    def known_as(self, gradients, batch):
        """Returns the same with other gradients, of all replicas.

        Args:
            gradients: Dict from `id(variable)` to K gradients.
            batch: The `BackwardPasses` that they come from.
        """
        passes = PassPerTask(batch.losses, batch.sums, gradients)
        return TaskByTask(passes, self.variables, self._scopes)

    def products(self, other=None):
        """Returns the `(K, K)` inner products of the tasks' gradients.

        Args:
            other: `TaskByTask` or `LayerByLayer` of another batch, whose
                tasks are the columns.
        """
        theirs = None if other is None else other.passes
        return self.passes.products(self.variables, theirs, self._scopes)

    def squares(self):
        """Returns the `(K,)` squared norms of the tasks' gradients."""
        return self.passes.squares(self.variables, self._scopes)

    def matrix(self):
        """Returns the `(K, P)` gradients."""
        columns = self.summed()
        return tf.concat(
            [
                tf.stack([_flat(gradient, v) for gradient in columns[id(v)]])
                for v in self.variables
            ],
            axis=1,
        )

    def summed(self):
        """Returns `{id(variable): K gradients of all replicas}`."""
        columns = self.passes.summed(self.variables)
        return dict(zip(map(id, self.variables), columns, strict=True))

    def by_variable(self, variables):
        """Returns `{id(variable): (K, K)}`, the shares in `products`."""
        self.passes.summed(variables)  # In one sum over replicas.
        return {
            id(v): self.passes.products([v], scopes=self._scopes)
            for v in variables
        }

    def combined(self, factors, variables):
        """Returns `{id(variable): gradient}` on this replica.

        Args:
            factors: Dict from `id(variable)` to the `(K,)` factors of the
                tasks' gradients.
            variables: List of those that are asked for, and were measured.
        """
        at_hand = self.passes.at_hand
        return {
            id(v): weighted_sum(at_hand[id(v)], tf.unstack(factors[id(v)]))
            for v in variables
        }


def task_by_task(backward, scope) -> TaskByTask:
    """Returns the gradients over a scope by a pass for each task.

    Args:
        backward: `BackwardPasses`.
        scope: String, whose gradients.

    Raises:
        ValueError: If a task reaches nothing of the scope, because of an
            operation without a gradient that the graph does not tell of.
    """
    model, passes = backward.model, backward.by_task
    variables = roles.scope_variables(model, scope)
    scopes = backward.scopes(scope)
    columns = passes.pull(variables, scopes)
    apart = roles.tasks_apart(model, scope)
    for task, gradients, is_apart in zip(
        model.task_names, zip(*columns, strict=True), apart, strict=True
    ):
        absent = is_apart or not backward.predicts(task)
        if not absent and all(g is None for g in gradients):
            raise ValueError(roles.unreached(task, scope))
    return TaskByTask(passes, variables, scopes)


def _flat(gradient, variable):
    """Returns a gradient as float32 numbers in a row, 0 where it is `None`."""
    if gradient is None:
        return tf.zeros(math.prod(variable.shape))
    gradient = tf.cast(tf.convert_to_tensor(gradient), tf.float32)
    return tf.reshape(gradient, [math.prod(variable.shape)])
