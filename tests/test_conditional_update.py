"""An update under XLA that leaves no trace of a step that is not finite."""

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.conditional_update import apply_if

SHAPES = (3, 2), (2,), (4, 2)
# Given sparse gradients, too.
WITH_TABLE = "sgd", "adam", "adagrad"
OPT = keras.optimizers
OPTIMIZERS = {
    "sgd": lambda: OPT.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: OPT.Adam(0.1, amsgrad=True),
    "adamw": lambda: OPT.AdamW(0.1, weight_decay=0.1, use_ema=True),
    "overwritten": lambda: OPT.SGD(
        0.1, use_ema=True, ema_overwrite_frequency=1
    ),
    "accumulated": lambda: OPT.Adam(0.1, gradient_accumulation_steps=2),
    "clipped": lambda: OPT.Adam(0.1, global_clipnorm=0.1),
    "scheduled": lambda: OPT.SGD(OPT.schedules.ExponentialDecay(0.1, 1, 0.5)),
    "static_scale": lambda: OPT.RMSprop(
        0.1, centered=True, loss_scale_factor=8
    ),
    "adadelta": lambda: OPT.Adadelta(0.1),
    "adafactor": lambda: OPT.Adafactor(0.1),
    "adagrad": lambda: OPT.Adagrad(0.1),
    "adamax": lambda: OPT.Adamax(0.1),
    "ftrl": lambda: OPT.Ftrl(0.1),
    "lamb": lambda: OPT.Lamb(0.1),
    "lion": lambda: OPT.Lion(0.1),
    "nadam": lambda: OPT.Nadam(0.1),
}
if hasattr(OPT, "Muon"):  # Not in the lowest Keras.
    OPTIMIZERS["muon"] = lambda: OPT.Muon(0.1)


def test_all_of_keras_optimizers_under_xla():
    """A skipped step changes no bit; others are what `apply` does eagerly."""
    made = {n: (make(), make()) for n, make in OPTIMIZERS.items()}
    rng = np.random.default_rng(0)
    start = [rng.normal(size=s).astype("float32") for s in SHAPES]
    start[-1][1] = -0.0
    gradients = [rng.normal(size=s).astype("float32") for s in SHAPES]
    pairs = {}
    for name, optimizers in made.items():
        for optimizer in optimizers:
            variables = [keras.Variable(value) for value in start]
            variables = variables[: 3 if name in WITH_TABLE else 2]
            optimizer.build(variables)
            pairs.setdefault(name, []).append((optimizer, variables))

    def scaled(factor, number):
        dense = [factor * g for g in gradients[:2]]
        rows = tf.constant([1, 3, 1])
        values = factor * gradients[2][:3]
        sparse = tf.IndexedSlices(values, rows, tf.constant(SHAPES[2]))
        return [*dense, sparse][:number]

    @tf.function(jit_compile=True)
    def step(finite, factor):
        for (optimizer, variables), _ in pairs.values():
            given = scaled(factor, len(variables))
            apply_if(finite, optimizer, given, variables, compiled=True)

    def state(name, which=0):
        optimizer, variables = pairs[name][which]
        return [np.array(v) for v in (*variables, *optimizer.variables)]

    for factor in (1.0, -0.5, 2.0):
        before = {name: state(name) for name in pairs}
        step(tf.constant(False), tf.constant(np.nan))
        for name, values in before.items():
            for old, new in zip(values, state(name), strict=True):
                assert old.tobytes() == new.tobytes(), name
        step(tf.constant(True), tf.constant(factor))
        for name, (_, (twin, variables)) in pairs.items():
            twin.apply(scaled(factor, len(variables)), variables)
            for new, expected in zip(state(name), state(name, 1), strict=True):
                np.testing.assert_allclose(
                    new, expected, rtol=1e-4, atol=1e-5, err_msg=name
                )


def test_an_optimizer_that_assigns_in_its_own_way_is_put_back():
    class Own(OPT.SGD):
        def assign_sub(self, variable, value):
            variable.assign(variable - value)

    optimizer, variable = Own(1.0), keras.Variable([1.0, 2.0])
    optimizer.build([variable])

    @tf.function(jit_compile=True)
    def step(finite):
        apply_if(finite, optimizer, [tf.ones(2)], [variable], compiled=True)

    step(tf.constant(False))
    np.testing.assert_array_equal(variable, [1.0, 2.0])
    assert int(optimizer.iterations) == 0
    step(tf.constant(True))
    np.testing.assert_array_equal(variable, [0.0, 1.0])
