"""Which gradients of a scope have a cheap form, and which have none."""

from typing import NamedTuple

import tensorflow as tf

from keras_mtl.gradients.candidates import candidates
from keras_mtl.gradients.heads import HeadGradients
from keras_mtl.gradients.layerwise import LayerwiseGradients
from keras_mtl.gradients.parts import make_parts, matching_parts
from keras_mtl.gradients.rowwise import RowwiseGradients, rowwise_gradients


class Split(NamedTuple):
    """How the gradients of a scope are obtained.

    Args:
        layerwise: `LayerwiseGradients` or `RowwiseGradients`, or `None`.
        heads: `HeadGradients`, or `None` if the scope has no variables that
            serve one task only.
        rest: List of variables whose gradients are computed task by task.
        is_plain: Boolean, whether these are all.
    """

    layerwise: LayerwiseGradients | RowwiseGradients | None = None
    heads: HeadGradients | None = None
    rest: list = []
    is_plain: bool = False

    def keep(self):
        """Computes what another batch's `products` take of this one."""
        if self.layerwise:
            self.layerwise.keep()

    def products(self, other=None):
        """Returns the inner products without those of the rest: `(K, K)` or 0.

        Args:
            other: `Split` of another batch, whose tasks are the columns.
        """
        total = 0.0
        if self.layerwise and other is None:
            total += self.layerwise.gramian()
        elif self.layerwise:
            total += self.layerwise.products_with(other.layerwise)
        if self.heads:
            theirs = None if other is None else other.heads
            total += tf.linalg.diag(self.heads.products(theirs))
        return total

    def squared_norms(self):
        """Returns the squared norms without those of the rest."""
        total = 0.0
        if self.layerwise:
            total += self.layerwise.squared_norms()
        if self.heads:
            total += self.heads.products()
        return total


def split_gradients(
    variables, own, uses, losses, at_leaves, between_batches, other=None
) -> Split:
    """Returns how the gradients of these variables are obtained.

    Args:
        variables: List of `keras.Variable`.
        own: Set of `id(variable)` of those that serve one task only.
        uses: `Uses`.
        losses: `LocalLosses`.
        at_leaves: `RepresentationGradients` or `LinearHeadGradients`.
        between_batches: Boolean, whether inner products with another batch
            are asked for.
        other: `Split` of that batch, to match, or `None`.
    """
    leaves = at_leaves.leaves
    heads = at_leaves.heads if any(id(v) in own for v in variables) else None
    shared = [v for v in variables if id(v) not in own]
    if other is None or isinstance(other.layerwise, RowwiseGradients):
        rowwise = rowwise_gradients(shared, uses, leaves, losses)
        if rowwise:
            return Split(rowwise, heads)
    found, above = candidates(shared, uses, leaves, losses)
    if other is None:
        parts = make_parts(found, losses.num_tasks, between_batches)
    else:
        theirs = other.layerwise.parts if other.layerwise else []
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
    return Split(layerwise, heads, rest)
