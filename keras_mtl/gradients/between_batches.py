"""What is kept of an update's batch for the batch that follows it."""

from keras_mtl.gradients import roles
from keras_mtl.gradients.passes import PassPerTask
from keras_mtl.gradients.split import Split


class BetweenBatches:
    """What `TaskGradients` keep and compare between two batches."""

    _before = None

    def keep(self, scope, in_full=False):
        """Computes what `gramian` takes of `other`, before an update.

        Args:
            scope: String, whose gradients.
            in_full: Boolean, whether `falls` will need them as they are.
        """
        if scope == "representation":
            return  # Refused by `gramian`.
        if in_full:
            rest = self._reaching(scope)
            self._splits[scope] = Split(rest=rest, is_plain=True)
            return
        split = self._split(scope, between_batches=True)
        self._passes.pull(split.rest)
        split.keep()

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
            return
        rest = self._splits[scope].rest
        heads = {id(v) for v in roles.head_variables(self._model)}
        of_heads = weights.shared if weights.heads is None else weights.heads
        coefficients = {
            id(v): self.loss_weights
            * (of_heads if id(v) in heads else weights.shared)
            for v in rest
        }
        columns = self._passes.summed(rest)
        columns = dict(zip(map(id, rest), columns, strict=True))
        self._before = before(self._scale, coefficients, columns, rest)

    def falls(self, scope, support):
        """Returns by how much the update by `support` lowers these losses.

        Args:
            scope: String, whose gradients.
            support: `TaskGradients` of the batch of the update, kept for this.

        Returns:
            `(K, K)` float32: row t, column j is of this batch's task t for a
            unit of task j's weight.
        """
        if scope == "representation":
            return self.gramian(scope, support)  # Which refuses.
        split = self._split(scope, support)
        known = support._before.moved()
        moved = PassPerTask(support._local, support.sums, known)
        total = self._passes.products(split.rest, moved, self._scopes(scope))
        return self.divided_rows(total) / (self._scale * support._scale)
