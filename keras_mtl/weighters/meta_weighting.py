"""Bilevel task weighting on support and query data."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, one_of
from keras_mtl.weighters.min_norm import MinNormWeighter
from keras_mtl.weighters.scopes import Scope


@keras.saving.register_keras_serializable(package="keras_mtl")
class MetaWeighting(MinNormWeighter):
    """Weights learned to lower every task's loss on held-out query data.

    The support batch trains the model; the query batch does not. After each
    update, `observe` moves the weights against the hypergradients: the
    gradients of the query losses at the new parameters with respect to the
    weights of the update. It takes their shortest convex combination, which
    lowers all query losses at once, or none. No second derivatives are needed.

    As published, the weights start at 1 and are neither normalised nor kept
    positive.

    Example:

    >>> meta = MetaWeighting(step_size=0.1)
    >>> meta(losses=[0.3, 0.4])  # -> [1.0, 1.0]
    >>> meta.observe(
    ...     query_support_gramian=[[2.0, 0.0], [0.0, 2.0]], learning_rate=0.1
    ... )  # 0.1 * 0.1 / 2 times the mean of the rows -> [1.005, 1.005]

    Args:
        step_size: Float, above 0, the paper's `alpha`. The paper uses 0.1 for
            sentiment and 0.5 for topics.
        nonnegative: Boolean. Whether negative weights are set to 0 after each
            update (the projection onto the non-negative weights; the sum is
            left as it is).
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"all"`.
        through: String, the step that the hypergradient differentiates.
            `"sgd"`, as published: learning rate times gradient, whatever the
            optimizer. `"optimizer"`: the step that SGD with momentum, Adam or
            AdamW really takes, coordinate by coordinate from its state. What
            momentum carries into later steps is left out. With shared inputs
            this takes a backward pass per task.
        **kwargs: `max_iterations` and `tolerance`, as in `MinNormWeighter`.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        query_support_gramian: `(K, K)` float32, for `observe`. Row t, column
            j: inner product of task t's query gradient at the new parameters
            and task j's support gradient at the old ones.
        learning_rate: Float32 scalar, for `observe`. The learning rate of the
            update.
        query_loss_falls: `(K, K)` float32, for `observe`, in place of these
            two with `through="optimizer"`. Row t, column j: by how much a unit
            of task j's weight in the update lowers task t's query loss.
        present: `(K,)` float32, for `observe`. 1 for a task with a label in
            the query batch.

    Returns:
        `(K,)` float32 weights: of `call`, those for this update; of
        `observe`, those for the next.

    Attributes:
        solver_gap: Float32 scalar variable; see `MinNormWeighter`.
        solver_iterations: Int32 scalar variable.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Mao et al., 2022](https://aclanthology.org/2022.findings-acl.271)
    """

    default_scope = "all"

    def __init__(
        self,
        step_size: float = 0.1,
        nonnegative: bool = False,
        scope: Scope | None = None,
        through: str = "sgd",
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.through = one_of("through", through, ("sgd", "optimizer"))
        self.step_size = above("step_size", step_size, 0.0)
        self.nonnegative = bool(nonnegative)

    @property
    def observes(self):
        """Names of the signals to pass to `observe`."""
        if self.through == "optimizer":
            return ("query_loss_falls", "present")
        return ("query_support_gramian", "learning_rate", "present")

    def build(self, losses_shape):
        """Creates the rounding rests of the weights and the solver's state."""
        self.rest = self.add_state("rest", losses_shape)
        self.add_solver_state()

    def call(self, losses):
        """Returns the weights, which only `observe` changes."""
        return tf.convert_to_tensor(self.task_weights)

    def observe(
        self,
        query_support_gramian=None,
        learning_rate=None,
        present=None,
        query_loss_falls=None,
    ):
        """Moves the weights and returns them."""
        rows, rate = query_support_gramian, learning_rate
        if self.through == "optimizer":
            rows, rate = query_loss_falls, 1.0
        if rows is None or rate is None:
            raise ValueError(
                f"MetaWeighting(through={self.through!r}) observes the signals "
                f"{list(self.observes)}, and one of them is missing."
            )
        if present is not None:
            rows = tf.where(present[:, None] > 0.0, rows, 0.0)
        # The minimiser is that of the hypergradients, -rate/K times the rows,
        # whose squares leave the range of float32.
        wide = tf.cast(rows, tf.float64)
        mixture = self.solve(tf.matmul(wide, wide, transpose_b=True), present)
        direction = tf.linalg.matvec(rows, mixture, transpose_a=True)
        return self._add(self.step_size * rate / int(rows.shape[0]) * direction)

    def _add(self, step):
        """Adds to the weights, and keeps what float32 rounds away.

        At a learning rate of 2e-5 a step is below the resolution at 1.
        """
        weights = tf.convert_to_tensor(self.task_weights)
        step += self.rest
        moved = weights + step
        self.rest.assign(step - (moved - weights))
        if self.nonnegative:
            self.rest.assign(tf.where(moved > 0.0, self.rest, 0.0))
            moved = tf.maximum(moved, 0.0)
        return moved

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "step_size": self.step_size,
            "nonnegative": self.nonnegative,
            "through": self.through,
        }
        return {**super().get_config(), **own}
