"""An update under XLA that leaves no trace of a step that is not finite."""

import functools

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
for _name in ("Muon", "ScheduleFreeAdamW"):  # Not in the lowest Keras.
    if hasattr(OPT, _name):
        OPTIMIZERS[_name] = functools.partial(getattr(OPT, _name), 0.1)


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


def test_optimizers_that_assign_in_their_own_way_are_put_back():
    """A variable without a gradient is overwritten with its average."""

    def twice(variable, value):
        variable.assign(variable - 2.0 * value)

    class Own(OPT.SGD):
        def assign_sub(self, variable, value):
            twice(variable, value)

    settings = {"use_ema": True, "ema_overwrite_frequency": 1}
    optimizers = Own(1.0), OPT.SGD(1.0), OPT.SGD(1.0, **settings)
    optimizers[1].assign_sub = twice
    pairs = [[keras.Variable([1.0, 2.0]) for _ in "ab"] for _ in optimizers]
    for optimizer, pair in zip(optimizers, pairs, strict=True):
        optimizer.build(pair)

    @tf.function(jit_compile=True)
    def step(finite):
        for optimizer, (variable, _) in zip(optimizers, pairs, strict=True):
            given = [tf.ones(2)], [variable]
            apply_if(finite, optimizer, *given, compiled=True)

    def check(firsts, second):
        for first, pair in zip(firsts, pairs, strict=True):
            received = [np.array(tf.convert_to_tensor(v)) for v in pair]
            np.testing.assert_array_equal(received, [first, second])

    step(tf.constant(False))
    check([[1.0, 2.0]] * 3, [1.0, 2.0])
    step(tf.constant(True))
    moved = [-1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]
    check(moved, [1.0, 2.0])
    for _, unreached in pairs:
        unreached.assign([30.0, 40.0])  # The average lags behind.
    step(tf.constant(False))
    check(moved, [30.0, 40.0])
    assert [int(o.iterations) for o in optimizers] == [1, 1, 1]
