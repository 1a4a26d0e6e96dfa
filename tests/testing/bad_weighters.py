"""Three good weighters, and one that fails each check of the suite."""

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.weighters import GradientWeighter, Weighter


class Smoothed(Weighter):
    """A good weighter, from which the bad ones are made."""

    def __init__(self, momentum=0.9, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum

    def build(self, losses_shape):
        self.average = self.add_state("average", losses_shape, "ones")

    def call(self, losses, present=None):
        average = self.momentum * self.average + (1 - self.momentum) * losses
        if present is not None:
            average = tf.where(present > 0.0, average, self.average)
        self.average.assign(average)
        return 1.0 / tf.maximum(average, 1e-6)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


class Norms(GradientWeighter):
    """A good weighter of gradients, with `observe` and no state."""

    def call(self, gramian, present=None):
        squares = tf.linalg.diag_part(gramian)
        return tf.math.rsqrt(1.0 + squares)

    def observe(self, query_support_gramian, learning_rate):
        hypergradient = learning_rate * tf.linalg.diag_part(
            query_support_gramian
        )
        return self.task_weights / (1.0 + tf.abs(hypergradient))


class OfHeadsToo(Norms):
    """A good weighter that weighs the heads otherwise."""

    def call(self, gramian, present=None):
        return super().call(gramian, present), 1.0 + tf.linalg.diag_part(
            gramian
        )


class ReturnsTooFewHeads(OfHeadsToo):
    def call(self, gramian, present=None):
        shared, heads = super().call(gramian, present)
        return shared, heads[1:]


class ReturnsNaN(Smoothed):
    def call(self, losses, present=None):
        return tf.math.log(losses) / tf.math.log(losses)


class ReturnsFloat16(Smoothed):
    def call(self, losses, present=None):
        return tf.cast(super().call(losses, present), tf.float16)


class ReturnsScalar(Smoothed):
    def call(self, losses, present=None):
        return tf.reduce_mean(super().call(losses, present))


class ReturnsMatrix(Norms):
    def call(self, gramian, present=None):
        return 1.0 / (1.0 + tf.square(gramian))


class SetsTaskWeights(Smoothed):
    def _advance(self, method, signals):
        weights = super()._advance(method, signals)
        return weights._replace(shared=2.0 * weights.shared)


class ForgetsArgument(Smoothed):
    def get_config(self):
        config = super().get_config()
        config.pop("momentum")
        return config


class ForgetsInheritedArgument(ForgetsArgument):
    def __init__(self, bound=1.0, **kwargs):
        super().__init__(**kwargs)
        self.bound = bound

    def get_config(self):
        return {**super().get_config(), "bound": self.bound}


class ChangesArgument(Smoothed):
    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum / 2}


class KeepsTensorInConfig(Smoothed):
    def get_config(self):
        return {**super().get_config(), "momentum": lambda: self.momentum}


class UsesNumpy(Smoothed):
    def call(self, losses, present=None):
        return tf.constant(1.0 / (1.0 + np.square(losses.numpy())))


class BranchesInPython(Smoothed):
    def call(self, losses, present=None):
        return losses if tf.reduce_sum(losses) > 1.0 else 1.0 + losses


class CountsInPython(Smoothed):
    steps = 0

    def call(self, losses, present=None):
        self.steps += 1
        return losses + float(self.steps)


class CallsPython(Smoothed):
    def call(self, losses, present=None):
        (weights,) = tf.py_function(lambda x: [1.0 + x], [losses], [tf.float32])
        return tf.ensure_shape(weights, losses.shape)


class AddsStateInCall(Smoothed):
    last = None

    def call(self, losses, present=None):
        if self.last is None:
            self.last = tf.Variable(tf.zeros_like(losses), trainable=False)
        return losses + 0.0 * self.last


class DrawsUnsavedNumbers(Smoothed):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.random.SeedGenerator()

    def call(self, losses, present=None):
        return losses + keras.random.uniform(losses.shape, seed=self.generator)


class IgnoresAbsence(Smoothed):
    def call(self, losses, present=None):
        return super().call(losses)


class DividesByPresent(Smoothed):
    def call(self, losses, present=None):
        present = tf.ones_like(losses) if present is None else present
        return losses / tf.reduce_sum(present)


class NeedsPresent(Smoothed):
    def call(self, losses, present):
        return super().call(losses, present)


class CountsAbsentGradients(Norms):
    def call(self, gramian, present=None):
        return super().call(gramian) / gramian.shape[0]


class PrefersTheFirst(Smoothed):
    def call(self, losses, present=None):
        return losses * tf.range(1.0, losses.shape[0] + 1.0)


class SumsOverReplicas(Smoothed):
    def build(self, losses_shape):
        self.average = self.add_weight(
            shape=losses_shape,
            initializer="ones",
            trainable=False,
            aggregation="sum",
        )


class UsesPlainWeight(Smoothed):
    def build(self, losses_shape):
        self.average = self.add_weight(
            shape=losses_shape, initializer="ones", trainable=False
        )


class ReducesOverReplicas(Smoothed):
    def call(self, losses, present=None):
        replica = tf.distribute.get_replica_context()
        return super().call(replica.all_reduce("sum", losses), present)


class FollowsThePolicy(Smoothed):
    def call(self, losses, present=None):
        policy = keras.config.dtype_policy()
        losses = tf.cast(losses, policy.compute_dtype)
        return super().call(tf.cast(losses, tf.float32), present)


class KeepsNaN(Smoothed):
    def build(self, losses_shape):
        super().build(losses_shape)
        self.worst = tf.Variable(tf.zeros(losses_shape), trainable=False)

    def call(self, losses, present=None):
        self.worst.assign(tf.maximum(self.worst, losses))
        return 1.0 + self.worst


class TakesTensorsOnly(Smoothed):
    def __call__(self, losses, present=None):
        return super().__call__(tf.ensure_shape(losses, losses.shape), present)


class BuiltForThree(Smoothed):
    def build(self, losses_shape):
        self.average = self.add_state("average", (3,), "ones")


# Each with the only check that it fails.
BAD = {
    ReturnsNaN: "finite",
    ReturnsFloat16: "results",
    ReturnsScalar: "results",
    ReturnsMatrix: "results",
    ReturnsTooFewHeads: "results",
    SetsTaskWeights: "results",
    ForgetsArgument: "config",
    ForgetsInheritedArgument: "config",
    ChangesArgument: "config",
    KeepsTensorInConfig: "config",
    UsesNumpy: "graph",
    BranchesInPython: "graph",
    CountsInPython: "graph",
    CallsPython: "xla",
    AddsStateInCall: "no_retrace",
    DrawsUnsavedNumbers: "saving",
    IgnoresAbsence: "absent_task",
    DividesByPresent: "all_tasks_absent",
    NeedsPresent: "present_optional",
    CountsAbsentGradients: "absent_gradient",
    PrefersTheFirst: "permutation",
    SumsOverReplicas: "two_replicas",
    UsesPlainWeight: "two_replicas",
    ReducesOverReplicas: "two_replicas",
    FollowsThePolicy: "mixed_float16",
    KeepsNaN: "non_finite",
    BuiltForThree: "results",
    TakesTensorsOnly: "arrays",
}
