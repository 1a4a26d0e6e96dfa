"""The backward passes of one batch, and what of them is at hand."""

import functools

import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.gradients import roles
from keras_mtl.gradients.local_losses import LocalLosses
from keras_mtl.gradients.own_cut import OwnCutGradients
from keras_mtl.gradients.passes import PassPerTask
from keras_mtl.gradients.representation import (
    RepresentationGradients,
    representation_pass,
)
from keras_mtl.gradients.sums import weighted_sum


class BackwardPasses:
    """What a tape allows to pull, each pass made once and when asked for.

    Gradients stay local to the replica and carry the loss scale.

    Args:
        batch: `ForwardPass`.
        tape: Persistent `tf.GradientTape` of it.
        uses: `Uses` of the model's variables, or `None` where they are not
            known.
        scale: Float scalar, the optimizer's loss scale.

    Attributes:
        model: The `MultiTaskModel`.
        losses: `LocalLosses`.
        sums: `ReplicaSums` of the batch.
        by_task: `PassPerTask`.
        leaves: List of tensors, the representation.
        own: What stacked tasks make of the leaves: `(B, K, U)`, a list of K
            tensors, or `None`.
        uses: As passed.
        scale: As passed.
    """

    def __init__(self, batch, tape, uses, scale):
        self.model = model = batch.model
        self.uses, self.scale, self.sums = uses, scale, batch.sums
        self._batch = batch
        owners = None
        if not model.has_task_encoder:
            owners = model.arrangement.owners(batch.inputs)
        self.losses = LocalLosses(
            tape,
            batch.values,
            len(model.task_names),
            batch.own_losses,
            scale,
            distribution.num_replicas(),
            owners,
        )
        self.by_task = PassPerTask(self.losses, batch.sums)
        self._tensors, self.leaves = batch.cut.floating()
        own = batch.cut.own
        if isinstance(own, dict):
            own = [own[task] for task in model.task_names]
            own = own if all(map(tf.is_tensor, own)) else None
        self.own = own if tf.is_tensor(own) or isinstance(own, list) else None
        if uses is not None:
            uses.note(self.leaves)

    def scopes(self, scope):
        """Returns where each task is measured; `None` if all are alike."""
        scopes = roles.task_scopes(self.model, scope)
        return None if all(s == scopes[0] for s in scopes) else scopes

    def predicts(self, task):
        """Whether the batch has predictions of a task."""
        outputs = self._batch.outputs
        return not isinstance(outputs, dict) or task in outputs

    @property
    def passed_apart(self):
        """Whether each task's rows passed the encoder by themselves."""
        below = roles.of(self.model).reach.below
        return self._batch.is_separate and len(self.leaves) != len(below)

    @functools.cached_property
    def over_heads(self):
        """The tasks' gradients at the leaves, and of the heads."""
        found = roles.of(self.model)
        return representation_pass(
            self.losses,
            self.leaves,
            found.by_unit,
            self.uses,
            self.own,
            found.reach.alone,
        )

    @functools.cached_property
    def at_cut(self):
        """The tasks' gradients at the cut, as they arrive from above."""
        if not self._batch.is_separate:
            return self.over_heads
        tasks = range(self.losses.num_tasks)
        pulled = [self.losses.of_task(task, self.leaves) for task in tasks]
        return RepresentationGradients(self.leaves, pulled)

    @functools.cached_property
    def at_lowest(self):
        """The tasks' gradients at the tensors that all of them start from."""
        roles.check_representation(self.model)
        reach = roles.of(self.model).reach
        if len(reach.lowest) == len(reach.below):
            return self.at_cut
        # Of leaves that follow from each other, what arrives by all paths.
        tensors = [
            tensor
            for number, tensor in enumerate(self._tensors)
            # Where tasks passed the encoder one by one, each has them all.
            if number % len(reach.below) in reach.lowest
        ]
        tape = self.losses.tape
        pulled = [
            tape.gradient(self.leaves, tensors, output_gradients=mine)
            for mine in zip(*map(tf.unstack, self.at_cut.stacked), strict=True)
        ]
        return RepresentationGradients(tensors, pulled)

    def weighted(self, coefficients, variables):
        """Returns `{id(variable): gradient}` of a weighted sum of the tasks.

        And of the losses that belong to no task. Gradients at hand are added
        up, those over the heads are passed on if they were asked for, and what
        is then missing takes one backward pass.

        Args:
            coefficients: `(K,)` float32.
            variables: List of trainable variables.
        """
        found = self._at_hand(coefficients, variables)
        missing = [v for v in variables if id(v) not in found]
        if missing and "over_heads" in vars(self):
            found |= self._passed_on(coefficients, missing)
            missing = [v for v in variables if id(v) not in found]
        if missing:
            pulled = self.losses.of_objective(coefficients, missing)
            found |= zip(map(id, missing), pulled, strict=True)
        return found

    def _at_hand(self, coefficients, variables):
        found = {}
        if "over_heads" in vars(self):
            found = self.over_heads.heads.scaled(coefficients)
        shares = tf.unstack(coefficients)
        by_task = self.by_task.at_hand
        found |= {
            id(v): weighted_sum(by_task[id(v)], shares)
            for v in variables
            if id(v) in by_task
        }
        mine = [v for v in variables if id(v) in found]
        return {
            id(v): weighted_sum([found[id(v)], gradient])
            for v, gradient in zip(mine, self.losses.of_own(mine), strict=True)
        }

    def _passed_on(self, coefficients, variables):
        """Returns what follows from the gradients over the heads."""
        trunk = {id(v) for v in roles.of(self.model).trunk}
        trunk = [v for v in variables if id(v) in trunk]
        at_leaves = self.over_heads
        if isinstance(at_leaves, OwnCutGradients) and not (
            at_leaves.takes_no_pass and len(trunk) == len(variables)
        ):  # Through what the heads read goes everything.
            trunk, starts = variables, at_leaves.starts
            cotangents = at_leaves.at_starts(coefficients)
        else:
            places = self._leaves_above(trunk)
            combined = at_leaves.combined(coefficients)
            starts = [self.leaves[place] for place in places]
            cotangents = [combined[place] for place in places]
        pulled = self.losses.through(starts, cotangents, trunk)
        return dict(zip(map(id, trunk), pulled, strict=True))

    def _leaves_above(self, variables):
        """Returns the numbers of the leaves that lead on to the variables.

        Those that several tasks read lead to nothing of one task's own, even
        where one operation makes both kinds.
        """
        found = roles.of(self.model)
        own, alone = {id(v) for v in found.own}, found.reach.alone
        places = range(len(self.leaves))
        are_own = all(id(v) in own for v in variables)
        if not are_own or len(alone) != len(places):
            return places
        return [place for place in places if alone[place] is not None]
