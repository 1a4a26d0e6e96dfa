"""A forward pass over a batch, and what all replicas' batches add up to."""

import functools

import keras
import tensorflow as tf

from keras_mtl.architectures.fitting import check_separate
from keras_mtl.data.symbolic import as_tensor
from keras_mtl.gradients.local_losses import (
    denominators,
    divided,
    packed,
    totals_of,
    undivided,
)
from keras_mtl.tasks.separate import num_rows


class ForwardPass:
    """Predictions and losses of one batch: what `evaluate` and metrics read.

    Losses and numbers of labels are summed over all replicas, at once or
    together with something else.

    Args:
        model: A built and compiled `MultiTaskModel`.
        batch: Tuple `(x, y, sample_weight)`.
        training: Boolean, passed to the layers.
        apart: Boolean. Whether separate inputs may pass the encoder task by
            task.
        late: Boolean. Whether the sum over replicas waits for another.

    Attributes:
        outputs: Predictions, a dict by task name or stacked.
        labels: Labels, arranged alike.
        sample_weight: Weights, arranged alike, or `None`.
        discriminator_loss: Float scalar, global and not weighted; 0 where
            none is trained.
        totals: `Totals`, losses and numbers of labels by part, and of rows.
        losses: `(K,)` float32, global mean loss of each task.
        present: `(K,)` float32, 1 for a task with a label.
        regularisation: Float scalar, the layers' own losses, the mean over
            replicas, and the discriminator's, weighted.
        sums: `ReplicaSums` of the batch.
        model, inputs: The model, and the inputs as tensors.
        is_separate: Boolean, whether each task has inputs of its own.
        cut: `Cut`, what the encoder made of these inputs.
        values: List of the K losses of this replica, or of one `(K,)` tensor;
            not divided yet where the sum over replicas waits.
        own_losses: Float scalar, this replica's losses of layers and of a
            discriminator.
    """

    def __init__(self, model, batch, training, apart=False, late=False):
        x, y, self.sample_weight = (
            keras.tree.map_structure(as_tensor, part) for part in batch
        )
        self.labels = model.arrangement.labels(x, y)
        self.model, self.inputs = model, x
        self.outputs, self.cut, shared = model(
            x, training=training, return_representation=True, apart=apart
        )
        # At once: where replicas meet, another's layers take their turn.
        own = [tf.cast(loss, tf.float32) for loss in model.losses]
        own = tf.add_n([tf.constant(0.0), *own])
        local = model.task_losses(self.labels, self.outputs, self.sample_weight)
        self.is_separate = model.is_separate(x)
        parts = x.values() if self.is_separate else [x]
        rows = sum(num_rows(keras.tree.flatten(p)[0]) for p in parts)
        self._local_sums, self.sums = local, packed(local, rows, own)
        # Sums, and not yet divided, where the sum over replicas waits.
        values = undivided(local) if late else None
        self._is_late = values is not None
        self.values = values if self._is_late else divided(local, self.sums)
        self.discriminator_loss, self._adversarial = tf.constant(0.0), 0.0
        if training and model.discriminator is not None:
            check_separate(model, x)
            found = model.discriminator.losses_of(shared)
            self.discriminator_loss, adversarial = found
            self._adversarial = tf.stop_gradient(adversarial)
            own += adversarial
        self.own_losses = own

    @functools.cached_property
    def totals(self):
        """What the replicas have together."""
        return totals_of(self._local_sums, self.sums)

    @property
    def losses(self):
        """The tasks' global mean losses."""
        return self.totals.losses

    @property
    def present(self):
        """1 for a task with a label, else 0."""
        return self.totals.present

    @property
    def regularisation(self):
        """The layers' own losses and the discriminator's."""
        return self.totals.own + self._adversarial

    def divided_rows(self, products):
        """Returns inner products whose rows are those of tasks' mean losses."""
        if not self._is_late:
            return products
        return products / denominators(self._local_sums, self.sums)[:, None]
