"""One replica's share of the tasks' losses, and its backward passes."""

from typing import NamedTuple

import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.tasks.task_losses import PartSums, largest_of_parts, sum_of_parts


class LocalLosses:
    """The tasks' losses on a tape; their gradients carry the loss scale.

    Args:
        tape: Persistent `tf.GradientTape` of the forward pass.
        values: List of the K losses of this replica, or of one `(K,)`
            tensor for stacked tasks.
        num_tasks: Integer, K.
        own: Float scalar, the losses that belong to no task: those of layers
            and of a discriminator. Its mean over replicas counts.
        scale: Float scalar, the optimizer's loss scale.
        num_replicas: Integer.
        owners: `Owners` of the parts of the representation that one task
            alone reads, or `None` where every task reads all of it.
    """

    def __init__(
        self, tape, values, num_tasks, own, scale, num_replicas, owners=None
    ):
        self.tape = tape
        self.owners = owners
        self.values, self.num_tasks = values, num_tasks
        self._own, self._scale = own, scale
        self._share = scale / num_replicas
        self._stacked = values[0].shape.rank == 1

    def of_task(self, number, sources):
        """Returns the gradients of one task."""
        loss, cotangent = self.values[0], self._scale
        if self._stacked:
            cotangent *= tf.one_hot(number, self.num_tasks)
        else:
            loss = self.values[number]
        return self.tape.gradient(loss, sources, output_gradients=cotangent)

    def of_each(self, sources):
        """Returns `{source.ref(): (K, ...) gradients of the tasks}`."""
        if not sources:
            return {}
        tasks = range(self.num_tasks)
        columns = zip(*(self.of_task(t, sources) for t in tasks), strict=True)
        return {
            source.ref(): tf.stack(
                [tf.zeros_like(source) if g is None else g for g in column]
            )
            for source, column in zip(sources, columns, strict=True)
        }

    def of_sum(self, sources):
        """Returns the gradients of the sum of all tasks."""
        cotangents = [self._scale * tf.ones_like(v) for v in self.values]
        return self.tape.gradient(
            self.values, sources, output_gradients=cotangents
        )

    def of_objective(self, coefficients, sources):
        """Returns those of a weighted sum and this share of `own`."""
        weighted = coefficients * self._scale
        cotangents = [weighted] if self._stacked else tf.unstack(weighted)
        return self.tape.gradient(
            [*self.values, self._own],
            sources,
            output_gradients=[*cotangents, self._share],
        )

    def of_own(self, sources):
        """Returns the gradients of this share of `own`."""
        return self.tape.gradient(
            self._own, sources, output_gradients=self._share
        )

    def through(self, leaves, cotangents, sources):
        """Returns the gradients that reach sources through `leaves`.

        And those of this share of `own`.
        """
        return self.tape.gradient(
            [*leaves, self._own],
            sources,
            output_gradients=[*cotangents, self._share],
        )


class Totals(NamedTuple):
    """What the replicas have together, P losses of K tasks.

    Attributes:
        part_losses: `(P,)` float32, global mean of each loss; P is K unless
            tasks have several losses.
        part_counts: `(P,)` float32, global number of its labels.
        losses: `(K,)` float32.
        present: `(K,)` float32, 1 for a task with a label.
        rows: Float scalar, global number of rows.
        own: Float scalar, mean of the layers' own losses.
    """

    part_losses: tf.Tensor
    part_counts: tf.Tensor
    losses: tf.Tensor
    present: tf.Tensor
    rows: tf.Tensor
    own: tf.Tensor


class ReplicaSums:
    """What replicas add up, alone or together with something else.

    Args:
        local: `(n,)` float32, of this replica.
    """

    def __init__(self, local):
        self.local, self._summed = local, None

    @property
    def pending(self) -> bool:
        """Whether they are still to be summed."""
        return self._summed is None

    def set(self, summed):
        """Takes the sums that were sent with something else."""
        self._summed = summed

    def get(self):
        """Returns the sums over all replicas."""
        if self._summed is None:
            self._summed = distribution.all_sum(self.local)
        return self._summed


def packed(local, rows, own):
    """Returns the `ReplicaSums` that `Totals` are made of.

    Args:
        local: `TaskSums` or `PartSums` of this replica.
        rows: Integer scalar, its number of rows.
        own: Float scalar, its layers' own losses.
    """
    sums, counts = (tf.convert_to_tensor(v) for v in (local.sums, local.counts))
    others = [tf.cast(rows, tf.float32), own / distribution.num_replicas()]
    return ReplicaSums(tf.concat([sums, counts, others], axis=0))


def global_totals(local, rows, own):
    """Returns this replica's losses, and what all have together.

    Args:
        local: `TaskSums` or `PartSums` of this replica.
        rows: Integer scalar, its number of rows.
        own: Float scalar, its layers' own losses.

    Returns:
        The differentiable values that `LocalLosses` takes, and `Totals`,
        without gradients.
    """
    sums = packed(local, rows, own)
    return divided(local, sums), totals_of(local, sums)


def divided(local, sums):
    """Returns this replica's losses, which `LocalLosses` take."""
    divisors = denominators(local, sums)
    if isinstance(local.sums, list):
        pairs = zip(local.sums, tf.unstack(divisors), strict=True)
        values = [total / divisor for total, divisor in pairs]
    else:
        values = [local.sums / divisors]
    return _by_owner(values, local) if isinstance(local, PartSums) else values


def undivided(local):
    """Returns the same before the division, or `None` if it is none by task."""
    if isinstance(local, PartSums):
        return None
    return local.sums if isinstance(local.sums, list) else [local.sums]


def denominators(local, sums):
    """Returns what the replicas' sums are divided by, `(P,)`."""
    _, counts, _ = _split(local, sums)
    return tf.where(tf.logical_and(counts > 0.0, local.divides), counts, 1.0)


def totals_of(local, sums):
    """Returns the `Totals`, without gradients."""
    totals, counts, others = _split(local, sums)
    losses = part_losses = totals / denominators(local, sums)
    present = tf.cast(counts > 0.0, tf.float32)
    if isinstance(local, PartSums):
        losses = sum_of_parts(part_losses, local.owners, local.weights)
        present = largest_of_parts(present, local.owners)
    return Totals(part_losses, counts, losses, present, *tf.unstack(others))


def _split(local, sums):
    size = tf.convert_to_tensor(local.sums).shape[0]
    return tf.split(tf.stop_gradient(sums.get()), [size, size, 2])


def _by_owner(values, local):
    """Returns each task's weighted sum of its losses."""
    sums = [tf.constant(0.0)] * (local.owners[-1] + 1)
    for value, owner, weight in zip(
        values, local.owners, local.weights, strict=True
    ):
        sums[owner] += value * tf.cast(weight, tf.float32)
    return sums
