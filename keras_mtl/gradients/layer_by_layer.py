"""The tasks' gradients over a scope, the cheapest exact way for each layer."""

import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.gradients import roles
from keras_mtl.gradients.candidates import candidates
from keras_mtl.gradients.layerwise import LayerwiseGradients
from keras_mtl.gradients.parts import make_parts, matching_parts
from keras_mtl.gradients.rowwise import RowwiseGradients, rowwise_gradients
from keras_mtl.gradients.task_by_task import TaskByTask


class LayerByLayer:
    """Inner products that need no gradients, and passes for the rest.

    Args:
        shared: `LayerwiseGradients` or `RowwiseGradients`, or `None`.
        heads: `HeadGradients`, or `None` if the scope has no variables that
            serve one task only.
        rest: `TaskByTask`, of the variables without a cheap form.

    Attributes, as passed:
        shared, rest
    """

    def __init__(self, shared, heads, rest):
        self.shared, self.rest = shared, rest
        self._heads = heads

    @property
    def passes(self):
        """`PassPerTask` of the batch."""
        return self.rest.passes

    def keep(self):
        """Computes what another batch's `products` take of this one."""
        self.rest.keep()
        if self.shared:
            self.shared.keep()

    def products(self, other=None):
        """Returns the `(K, K)` inner products of the tasks' gradients.

        Args:
            other: `LayerByLayer` of another batch, whose tasks are the
                columns.
        """
        total = self.rest.products(None if other is None else other.rest)
        if self.shared and other is None:
            total += self.shared.gramian()
        elif self.shared:
            total += self.shared.products_with(other.shared)
        if self._heads:
            theirs = None if other is None else other._heads
            total += tf.linalg.diag(self._heads.products(theirs))
        return total

    def squares(self):
        """Returns the `(K,)` squared norms of the tasks' gradients."""
        total = self.rest.squares()
        if self.shared:
            total += self.shared.squared_norms()
        if self._heads:
            total += self._heads.products()
        return total

    def by_variable(self, variables):
        """Returns `{id(variable): (K, K)}`, the shares in `products`."""
        found = {}
        if self.shared:
            shares = tf.unstack(self.shared.shares(), len(self.shared.parts))
            found = dict(zip(self._shared_ids(), shares, strict=True))
        others = [v for v in variables if id(v) not in found]
        return found | self.rest.by_variable(others)

    def combined(self, factors, variables):
        """Returns `{id(variable): gradient}` on this replica.

        Args:
            factors: Dict from `id(variable)` to the `(K,)` factors of the
                tasks' gradients, of all that was measured.
            variables: List of those that are asked for.
        """
        found = {}
        if self.shared:
            mine = [factors[key] for key in self._shared_ids()]
            found = self.shared.combined(mine)
        others = [v for v in variables if id(v) not in found]
        return found | self.rest.combined(factors, others)

    def _shared_ids(self):
        return [id(part.variable) for part in self.shared.parts]


def goes_by_layer(backward, scope) -> bool:
    """Whether gradients over a scope may be found layer by layer.

    Args:
        backward: `BackwardPasses`.
        scope: String, whose gradients.
    """
    return not (
        backward.uses is None
        or not backward.leaves
        or backward.passed_apart
        or backward.scopes(scope) is not None
        or distribution.num_replicas() > 1
    )


def layer_by_layer(backward, scope, between_batches, other=None):
    """Returns the `LayerByLayer` of a scope for which `goes_by_layer` holds.

    Args:
        backward: `BackwardPasses`.
        scope: String, whose gradients.
        between_batches: Boolean, whether inner products with another batch
            are asked for.
        other: `LayerByLayer` of that batch, to match, or `None`.
    """
    uses, losses = backward.uses, backward.losses
    own = {id(v) for unit in roles.of(backward.model).by_unit for v in unit}
    variables = roles.scope_variables(backward.model, scope)
    at_leaves, leaves = backward.over_heads, backward.over_heads.leaves
    heads = at_leaves.heads if any(id(v) in own for v in variables) else None
    shared = [v for v in variables if id(v) not in own]
    if other is None or isinstance(other.shared, RowwiseGradients):
        rowwise = rowwise_gradients(shared, uses, leaves, losses)
        if rowwise:
            nothing = TaskByTask(backward.by_task, [])
            return LayerByLayer(rowwise, heads, nothing)
    found, above = candidates(shared, uses, leaves, losses)
    if other is None:
        parts = make_parts(found, losses.num_tasks, between_batches)
    else:
        theirs = other.shared.parts if other.shared else []
        parts = matching_parts(found, theirs)
    pairs = list(zip(found, parts, strict=True))
    rest = [candidate.variable for candidate, part in pairs if part is None]
    parts = [part for part in parts if part is not None]
    sources = [source for part in parts for source in part.sources]
    over = [source for source in sources if source.name in above]
    layerwise = None
    if parts:
        layerwise = LayerwiseGradients(
            losses.tape,
            leaves,
            parts,
            at_leaves.stacked,
            losses.of_each(over),
        )
    return LayerByLayer(layerwise, heads, TaskByTask(backward.by_task, rest))
