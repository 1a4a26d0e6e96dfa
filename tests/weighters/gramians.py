"""Gramians to try weighters on: golden ones, and random ones by the thousand.

Golden values are independent solutions (non-negative least squares on the
gradients, Newton's method with 50 digits) where there are such, and otherwise
those of the tool that an entry names.
"""

import functools
import json

import numpy as np
import tensorflow as tf

from keras_mtl.solvers import task_gradients
from keras_mtl.solvers.compiling import plain_kernels
from tests.golden import FILE, golden, golden_weights

FAMILIES = ("plain", "scaled", "dependent", "opposed", "parallel")


def golden_updates(method, tool="independent", call=""):
    """Yields gradients, their float32 Gramian and the update that is right."""
    for case in json.loads(FILE.read_text())["gramian"].values():
        jacobian = np.array(case["J"])
        for entry in case["entries"]:
            name = entry["method"].replace(
                ", zero rows left out of the search", ""
            )
            named = name == method and call in entry["call"]
            if named and entry["tool"].startswith(tool):
                update = entry.get("gradient")
                if update is None:
                    update = entry["weights"] @ jacobian
                yield jacobian, np.float32(case["gramian"]), np.array(update)


def expect_golden(weighter, tolerance, *which, up_to_sign=False, **found):
    """Compares updates, relative to their length, for all golden Gramians."""
    cases = list(golden_updates(*which, **found))
    assert len(cases) >= 3
    for jacobian, gramian, expected in cases:
        # A weighter serves one number of tasks.
        again = type(weighter).from_config(weighter.get_config())
        weights = np.float64(again(gramian=gramian))
        if up_to_sign:
            expected *= np.sign(weights @ jacobian @ expected)
        length = max(
            np.linalg.norm(expected),
            1e-3 * np.abs(weights) @ np.linalg.norm(jacobian, axis=1),
        )
        error = np.linalg.norm(weights @ jacobian - expected) / length
        assert error <= tolerance, (which, len(jacobian), error)


def weigh_sequence(weighter, method):
    """Returns a weighter's weights and TorchJD's over the same steps.

    With the gradients: three arrays, `(T, K)`, `(T, K)` and `(T, K, P)`.
    """
    jacobians = np.array(golden("sequences")["J"])
    gramians = np.float32(jacobians @ jacobians.transpose(0, 2, 1))
    weights = np.float64([weighter(gramian=gramian) for gramian in gramians])
    expected = golden_weights(method, "torchjd", "sequences")
    return weights, expected, jacobians


@functools.cache
def random_jacobians(size=5, count=1000):
    """Returns `(count, K, P)` gradients, each family in turn.

    Plain ones; norms over eight decades; of rank 3; one all but opposed to
    another; two all but parallel. Their scale runs from 1e-5 to 1e7.
    """
    random = np.random.default_rng(size)
    rows = random.normal(size=(count, size, size + 3))
    family = np.arange(count) % len(FAMILIES)
    tilt = 10.0 ** random.uniform(-3.0, -1.0, size=(count, 1))
    near = rows[:, 0] + tilt * rows[:, 1]
    rows[:, 1] = np.where((family == 4)[:, None], near, rows[:, 1])
    rows[:, 1] = np.where((family == 3)[:, None], -near, rows[:, 1])
    rows[family == 2, :, 3:] = 0.0
    decades = random.uniform(-4.0, 4.0, size=(count, size, 1))
    rows *= np.where((family == 1)[:, None, None], 10.0**decades, 1.0)
    # Up to 1e-10 and 1e15 in the Gramian.
    scales = 10.0 ** random.uniform(-4.0, 6.0, size=(count, 1, 1))
    return rows * scales


def weigh_all(weighter, jacobians):
    """Returns the weights of Gramians rounded to float32, and of exact ones.

    Each `(count, K)` float64, by one compiled function. The second tell how
    exact the solver is by itself.
    """
    gramians = jacobians @ jacobians.transpose(0, 2, 1)
    weighter.bind(jacobians.shape[1])

    @tf.function(autograph=False, jit_compile=True)
    def weigh(gramians):
        return tf.map_fn(
            lambda gramian: weighter.combine(task_gradients(gramian)), gramians
        )

    weights = weigh(np.float64(np.float32(gramians))).numpy()
    exact = weigh(gramians).numpy()
    assert np.isfinite([weights, exact]).all()
    return weights, exact


def weigh_each(weighter, gramians, present=None, **state):
    """Returns `(count, K)` float64 weights, each as if it were the first call.

    By one graph, through all that a call does.

    Args:
        weighter: `Weighter` of a Gramian, which is given one number of tasks.
        gramians: `(count, K, K)` array.
        present: `(K,)` array or `None`.
        **state: Values of the weighter's variables before each call, by the
            attribute's name.
    """
    weighter.bind(gramians.shape[1])
    for name, value in state.items():
        getattr(weighter, name).assign(value)
    first = [(v, tf.constant(v.numpy())) for v in weighter.variables]
    given = {} if present is None else {"present": present}

    @tf.function(autograph=False)
    def weigh(gramians):
        def of_one(gramian):
            for variable, value in first:
                variable.assign(value)
            return weighter(gramian=gramian, **given)

        return tf.map_fn(of_one, gramians, parallel_iterations=1)

    with plain_kernels():
        weights = weigh(np.float32(gramians))
    return np.float64(weights)


def of_units(jacobians):
    """Returns norms `(count, K)`, and inner products of unit gradients."""
    norms = np.linalg.norm(jacobians, axis=2)
    units = jacobians / norms[..., None]
    return norms, units @ units.transpose(0, 2, 1)


def family(name, values):
    """Returns what belongs to one family of `random_jacobians`."""
    return values[FAMILIES.index(name) :: len(FAMILIES)]
