"""The tasks' losses on one batch, and their gradients."""

import functools

import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.gradients import roles
from keras_mtl.gradients.between_batches import BetweenBatches
from keras_mtl.gradients.by_layer import GradientsByLayer
from keras_mtl.gradients.forward import ForwardPass
from keras_mtl.gradients.in_full import GradientsInFull
from keras_mtl.gradients.local_losses import LocalLosses
from keras_mtl.gradients.own_cut import OwnCutGradients
from keras_mtl.gradients.passes import PassPerTask
from keras_mtl.gradients.representation import (
    RepresentationGradients,
    representation_pass,
)
from keras_mtl.gradients.split import Split, split_gradients
from keras_mtl.gradients.sums import weighted_sum
from keras_mtl.gradients.uses import Uses


class TaskGradients(
    ForwardPass, BetweenBatches, GradientsInFull, GradientsByLayer
):
    """One forward pass, and the backward passes that are asked of it.

    Gradients stay local to the replica and are multiplied by the optimizer's
    loss scale; every value returned by a method other than `combined` is
    global, float32 and without that scale.

    Each value is found the cheapest exact way: at the representation from one
    pass over the heads; of the encoder's variables layer by layer; and
    otherwise (separate inputs that pass the encoder task by task, replicas,
    eager steps, encoders whose representation is not known) by a backward pass
    per task, whose gradients are kept at hand for `combined`.

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
        self._scale = scale
        self.loss_weights = model.task_losses.loss_weights
        self._splits = {}
        self._at_leaves = self._uses = None
        if scope is not None and not tf.executing_eagerly():
            self._uses = Uses(roles.task_variables(model))
        tape = tf.GradientTape(persistent=True)
        with tape:
            super().__init__(model, batch, training, scope is not None, late)
        self._local = LocalLosses(
            tape,
            self._values,
            len(model.task_names),
            self._own_losses,
            scale,
            distribution.num_replicas(),
            None
            if model.has_task_encoder
            else model.arrangement.owners(self._inputs),
        )
        self._passes = PassPerTask(self._local, self.sums)
        self._tensors, self._leaves = self._cut.floating()
        own = self._cut.own
        if isinstance(own, dict):
            own = [own[task] for task in model.task_names]
            own = own if all(map(tf.is_tensor, own)) else None
        self._own = own if tf.is_tensor(own) or isinstance(own, list) else None
        if self._uses is not None:
            self._uses.note(self._leaves)

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
        fixed = self.loss_weights
        if of_heads is None:
            pulled = self._weighted(fixed * weights, variables)
        else:
            heads = {id(v) for v in roles.head_variables(self._model)}
            mine = [v for v in variables if id(v) in heads]
            rest = [v for v in variables if id(v) not in heads]
            pulled = self._weighted(fixed * of_heads, mine)
            pulled |= self._weighted(fixed * weights, rest)
        return [pulled[id(v)] for v in variables]

    def gramian(self, scope, other=None):
        """Returns the `(K, K)` inner products of the tasks' gradients.

        Args:
            scope: String, whose gradients.
            other: `TaskGradients` whose tasks are the columns; this one's own
                by default.
        """
        scale = self._scale * (self if other is None else other)._scale
        if scope == "representation":
            if other is not None:
                raise ValueError(
                    "Query and support batch have no representation in common. "
                    f"Pass scope='shared' to {self._model.weighter.name!r}. "
                    f"Received: scope={scope!r}"
                )
            return distribution.all_sum(self._at_lowest.gramian()) / scale
        split = self._split(scope, other)
        theirs = None if other is None else other._split(scope)
        passes = None if other is None else other._passes
        total = self._passes.products(split.rest, passes, self._scopes(scope))
        return self.divided_rows(total + split.products(theirs)) / scale

    def norms(self, scope):
        """Returns the `(K,)` norms of the tasks' gradients."""
        if scope == "representation":
            squares = distribution.all_sum(self._at_lowest.squared_norms())
        else:
            split = self._split(scope)
            scopes = self._scopes(scope)
            squares = self._passes.squares(split.rest, scopes)
            squares += split.squared_norms()
        # Rounding may leave less than nothing of a vanishing gradient.
        return tf.sqrt(tf.maximum(squares, 0.0)) / self._scale

    @property
    def _passed_apart(self):
        """Whether each task's rows passed the encoder by themselves."""
        below = roles.of(self._model).reach.below
        return self._separate and len(self._leaves) != len(below)

    @functools.cached_property
    def _representation_pass(self):
        units = roles.of(self._model).by_unit
        self._at_leaves = representation_pass(
            self._local, self._leaves, units, self._uses, self._own
        )
        return self._at_leaves

    @functools.cached_property
    def _at_cut(self):
        """The tasks' gradients at the cut, as they arrive from above."""
        if not self._separate:
            return self._representation_pass
        tasks = range(self._local.num_tasks)
        pulled = [self._local.of_task(task, self._leaves) for task in tasks]
        return RepresentationGradients(self._leaves, pulled)

    @functools.cached_property
    def _at_lowest(self):
        """The tasks' gradients at the tensors that all of them start from."""
        roles.check_representation(self._model)
        local, reach = self._local, roles.of(self._model).reach
        at_leaves = self._at_cut
        if len(reach.lowest) == len(reach.below):
            return at_leaves
        # Of leaves that follow from each other, what arrives by all paths.
        tensors = [
            tensor
            for number, tensor in enumerate(self._tensors)
            # Where tasks passed the encoder one by one, each has them all.
            if number % len(reach.below) in reach.lowest
        ]
        pulled = [
            local.tape.gradient(self._leaves, tensors, output_gradients=mine)
            for mine in zip(*map(tf.unstack, at_leaves.stacked), strict=True)
        ]
        return RepresentationGradients(tensors, pulled)

    def _scopes(self, scope):
        """Returns where each task is measured; `None` if all are alike."""
        scopes = roles.task_scopes(self._model, scope)
        return None if all(s == scopes[0] for s in scopes) else scopes

    def _split(self, scope, other=None, between_batches=False):
        """Returns the `Split` of a scope, made once."""
        if scope not in self._splits:
            self._splits[scope] = self._make_split(
                scope, other, between_batches
            )
        return self._splits[scope]

    def _goes_by_layer(self, scope):
        """Whether gradients of a scope may be found layer by layer."""
        return not (
            self._uses is None
            or not self._leaves
            or self._passed_apart
            or self._scopes(scope) is not None
            or distribution.num_replicas() > 1
        )

    def _make_split(self, scope, other, between_batches):
        theirs = None if other is None else other._split(scope)
        if not self._goes_by_layer(scope) or (theirs and theirs.is_plain):
            return Split(rest=self._reaching(scope), is_plain=True)
        units = roles.of(self._model).by_unit
        heads = {id(v) for variables in units for v in variables}
        return split_gradients(
            roles.scope_variables(self._model, scope),
            heads,
            self._uses,
            self._local,
            self._representation_pass,
            between_batches,
            theirs,
        )

    def _weighted(self, coefficients, variables):
        """Returns `{id(variable): gradient}` of a weighted sum of the tasks.

        Gradients at hand are added up, the representation's are passed on,
        and what is then missing takes a backward pass.
        """
        local, at_leaves = self._local, self._at_leaves
        shares = tf.unstack(coefficients)
        found = at_leaves.heads.scaled(coefficients) if at_leaves else {}
        found |= {
            id(v): weighted_sum(self._passes.at_hand[id(v)], shares)
            for v in variables
            if id(v) in self._passes.at_hand
        }
        mine = [v for v in variables if id(v) in found]
        found = {
            id(v): weighted_sum([found[id(v)], gradient])
            for v, gradient in zip(mine, local.of_own(mine), strict=True)
        }
        missing = [v for v in variables if id(v) not in found]
        if at_leaves and missing:
            trunk = {id(v) for v in roles.of(self._model).trunk}
            trunk = [v for v in missing if id(v) in trunk]
            starts, pull = self._leaves, at_leaves.combined
            if isinstance(at_leaves, OwnCutGradients) and not (
                at_leaves.are_mixtures and len(trunk) == len(missing)
            ):  # Through what the heads read goes everything.
                trunk, starts = missing, at_leaves.starts
                pull = at_leaves.at_starts
            cotangents = pull(coefficients)
            pulled = local.through(starts, cotangents, trunk)
            found |= zip(map(id, trunk), pulled, strict=True)
            missing = [v for v in variables if id(v) not in found]
        if missing:
            pulled = local.of_objective(coefficients, missing)
            found |= zip(map(id, missing), pulled, strict=True)
        return found
