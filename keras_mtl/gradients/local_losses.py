"""One replica's share of the tasks' losses, and its backward passes."""

import tensorflow as tf

from keras_mtl import distribution


class LocalLosses:
    """The tasks' losses on a tape; their gradients carry the loss scale.

    Args:
        tape: Persistent `tf.GradientTape` of the forward pass.
        sums: List of K scalars, or a `(K,)` tensor for stacked tasks.
        denominators: `(K,)` tensor that divides the sums.
        own: Float scalar, the losses that belong to no task: those of layers
            and of a discriminator. Its mean over replicas counts.
        scale: Float scalar, the optimizer's loss scale.
        num_replicas: Integer.
        owners: `Owners` of the parts of the representation that one task
            alone reads, or `None` where every task reads all of it.
    """

    def __init__(
        self, tape, sums, denominators, own, scale, num_replicas, owners=None
    ):
        self.tape = tape
        self.owners = owners
        self.num_tasks = int(denominators.shape[0])
        self._own, self._scale = own, scale
        self._share = scale / num_replicas
        self._stacked = not isinstance(sums, list)
        if self._stacked:
            self.values = [sums / denominators]
        else:
            pairs = zip(sums, tf.unstack(denominators), strict=True)
            self.values = [total / divisor for total, divisor in pairs]

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


def global_totals(local, rows, own):
    """Returns what the replicas have together, without gradients.

    Args:
        local: `TaskSums` of this replica.
        rows: Integer scalar, its number of rows.
        own: Float scalar, its layers' own losses.

    Returns:
        `(K,)` sums and `(K,)` counts of the tasks, number of rows, and the
        mean of `own`.
    """
    sums, counts = (tf.convert_to_tensor(v) for v in (local.sums, local.counts))
    others = [tf.cast(rows, tf.float32), own / distribution.num_replicas()]
    totals = distribution.all_sum(tf.concat([sums, counts, others], axis=0))
    num_tasks = sums.shape[0]
    sums, counts, others = tf.split(
        tf.stop_gradient(totals), [num_tasks, num_tasks, 2]
    )
    return sums, counts, *tf.unstack(others)
