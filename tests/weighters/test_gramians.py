"""What all weighters of a Gramian have in common, over many Gramians.

Each is called in one graph, from its first state. KKT conditions and defining
equations are in the methods' own files.
"""

import numpy as np
import pytest

from keras_mtl import weighters
from tests.weighters.gramians import random_jacobians, weigh_each

K, COUNT = 5, 20
NAMES = [
    name
    for name, cls in weighters.CATALOGUE.items()
    if set(cls().needs) == {"gramian", "present"}
]
# Whose update is 0 where a positive combination of the gradients is.
VANISHING = ("mgda", "upgrad", "dual_proj")
# To these a task without gradient is the shortest combination of all, or a
# part of it.
SHORTEST = ("mgda", "sdmgrad")


def make(name):
    cls = weighters.CATALOGUE[name]
    fixed = {"shuffle": False} if "shuffle" in cls().get_config() else {}
    # An epsilon in units of the squared gradient is the paper's.
    if name == "pcd":
        fixed = {"epsilon": 1e-30}
    return cls(**fixed)


def plain():
    return random_jacobians()[: 5 * COUNT : 5] / 1e3


def stationary():
    """Gradients of which a positive combination is 0, and the last is one."""
    random = np.random.default_rng(0)
    jacobians = plain()
    jacobians /= np.linalg.norm(jacobians, axis=(1, 2), keepdims=True)
    shares = random.uniform(0.5, 2.0, size=(COUNT, K - 1))
    jacobians[:, -1] = -np.einsum("nk,nkp->np", shares, jacobians[:, :-1])
    return jacobians


def gramians_of(jacobians):
    return jacobians @ jacobians.transpose(0, 2, 1)


def without(gramians, task):
    changed = gramians.copy()
    changed[:, task] = changed[:, :, task] = 0.0
    return changed


def shares(weights):
    return weights / np.abs(weights).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", NAMES)
def test_scales_stationary_points_and_tasks_without_gradient(name):
    jacobians, still = plain(), stationary()
    gramians, at_rest = gramians_of(jacobians), gramians_of(still)
    unit = gramians / np.trace(gramians, axis1=1, axis2=2)[:, None, None]
    zero, others = without(unit, 2), [0, 1, 3, 4]
    parts = [unit, 1e-10 * unit, 1e15 * unit, at_rest, zero]
    weights = weigh_each(make(name), np.concatenate(parts))
    assert np.isfinite(weights).all()
    once, tiny, huge, rest, of_zero = np.split(weights, len(parts))
    for scaled in (tiny, huge):
        np.testing.assert_allclose(shares(scaled), shares(once), atol=1e-5)
    # At a stationary point.
    updates = np.einsum("nk,nkp->np", rest, still)
    lengths = np.linalg.norm(updates, axis=1)
    norms = np.linalg.norm(still, axis=2)
    assert (lengths <= norms.sum(axis=1)).all()
    if name in VANISHING:
        assert (lengths <= 1e-3 * np.einsum("nk,nk->n", rest, norms)).all()
    if name == "cagrad":  # Within its radius of the mean, here as elsewhere.
        mean = still.mean(axis=1)
        gap = np.linalg.norm(updates - mean, axis=1)
        assert (gap <= 0.401 * np.linalg.norm(mean, axis=1)).all()
    # A task without a gradient changes the others' share by a factor only.
    smaller = unit[:, others][:, :, others]
    expected = weigh_each(make(name), smaller)
    if name not in SHORTEST:
        np.testing.assert_allclose(
            shares(of_zero[:, others]), shares(expected), atol=1e-5
        )
    absent = np.float64(np.array(others)[:, None] == np.arange(K)).sum(axis=0)
    received = weigh_each(make(name), zero, present=absent)
    assert not received[:, 2].any()
    np.testing.assert_allclose(
        received[:, others], expected, rtol=1e-4, atol=1e-6
    )


def test_every_gramian_method_is_among_them():
    assert len(NAMES) >= 14
