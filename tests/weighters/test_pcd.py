import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.weighters import PCD
from tests.weighters.gramians import (
    expect_golden,
    family,
    of_units,
    random_jacobians,
    weigh_sequence,
)


@pytest.mark.parametrize(
    ("method", "progress"), [("PCD", 0.02), ("PCD(0.2)", 0.2)]
)
def test_golden_updates(method, progress):
    expect_golden(PCD(progress=progress), 1e-5, method, "torchjd")


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("PCD", {}),
        ("PCD(tau=0.2, beta=0.9)", {"progress": 0.2, "momentum": 0.9}),
    ],
)
def test_golden_sequence(method, arguments):
    weights, expected, jacobians = weigh_sequence(PCD(**arguments), method)
    updates = np.einsum("tk,tkp->tp", weights, jacobians)
    expected = np.einsum("tk,tkp->tp", expected, jacobians)
    errors = np.linalg.norm(updates - expected, axis=1)
    assert (errors <= 1e-5 * np.linalg.norm(expected, axis=1)).all()


def first_weights(jacobians, **arguments):
    pcd = PCD(**arguments)
    size = jacobians.shape[1]
    pcd.bind(size)
    zeros = tf.zeros(size)

    @tf.function(autograph=False, jit_compile=True)
    def weigh(gramians):
        return tf.map_fn(
            lambda gramian: pcd._descent(gramian, None, zeros, zeros)[0],
            gramians,
        )

    gramians = jacobians @ jacobians.transpose(0, 2, 1)
    return np.float64(weigh(np.float32(gramians)))


def test_every_task_makes_the_progress_that_was_asked_for():
    """1,000 Gramians of all families, K = 5, in units of their norms.

    In the first step all gradients have norm 1, so that task j's progress is
    its cosine to the update over the main task's share of it. It falls short
    of 0.2 by at most 7e-6 for plain and scaled gradients, and is 0.2 where the
    task weighs anything. Where dependent or opposed tasks ask for what cannot
    be, the update is the main task's gradient.
    """
    jacobians = random_jacobians()
    jacobians = (
        jacobians
        * 1e6
        / np.linalg.norm(jacobians, axis=2).min(1)[:, None, None]
    )
    norms, cosines = of_units(jacobians)
    weights = first_weights(jacobians, primary=1, progress=0.2)
    assert np.isfinite(weights).all()
    parts = weights * norms
    lengths = np.sqrt(np.einsum("ni,nij,nj->n", parts, cosines, parts))
    np.testing.assert_allclose(lengths, norms[:, 1], rtol=1e-2)
    progress = np.einsum("nij,nj->ni", cosines, parts) / parts[:, [1]]
    share = parts / parts[:, [1]]
    others = np.arange(5) != 1
    for name in ("plain", "scaled"):
        excess = family(name, progress)[:, others] - 0.2
        tight = family(name, share)[:, others] > 1e-9
        terms = family(name, share).sum(1, keepdims=True)
        assert (excess / terms).min() >= -3e-6
        assert np.abs((excess / terms)[tight]).max() <= 3e-6
        assert tight.any()


def test_two_tasks_have_a_closed_form():
    """By hand: 0.6 of the other makes them orthogonal; the length is 0.8."""
    weights = PCD(progress=0.0)(gramian=[[1.0, -0.6], [-0.6, 1.0]])
    np.testing.assert_allclose(weights, [1.25, 0.75], rtol=1e-5)


def test_the_main_task_alone_where_none_asks_for_more():
    gramian = np.full((3, 3), 0.5) + 0.5 * np.eye(3)
    np.testing.assert_allclose(PCD()(gramian=gramian), [1, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(PCD(2)(gramian=gramian), [0, 0, 1], rtol=1e-6)


def test_what_cannot_be_is_not_asked_for():
    """Two opposite tasks beside the main one: no update helps both."""
    gramian = [[1.0, 0.0, 0.0], [0.0, 1.0, -1.0], [0.0, -1.0, 1.0]]
    np.testing.assert_allclose(PCD()(gramian=gramian), [1, 0, 0], rtol=1e-6)


def test_the_scale_of_another_task_does_not_count():
    jacobian = np.array([[1.0, 0.0], [-2.0, 1.0]])
    scaled = jacobian * [[1.0], [1e3]]
    updates = [
        np.float64(PCD(epsilon=1e-30)(gramian=rows @ rows.T)) @ rows
        for rows in (jacobian, scaled)
    ]
    np.testing.assert_allclose(*updates, rtol=1e-5)


def test_absent_tasks_and_no_main_gradient():
    pcd = PCD(progress=0.0)
    gramian = [[1.0, -0.6, 9.0], [-0.6, 1.0, 9.0], [9.0, 9.0, 9.0]]
    weights = pcd(gramian=gramian, present=[1.0, 1.0, 0.0])
    np.testing.assert_allclose(weights, [1.25, 0.75, 0.0], rtol=1e-5)
    np.testing.assert_array_equal(pcd.steps, [1, 1, 0])
    squares = pcd.squares.numpy()
    weights = pcd(gramian=gramian, present=[0.0, 1.0, 1.0])
    np.testing.assert_array_equal(weights, 0.0)
    assert pcd.squares.numpy()[0] == squares[0]
    np.testing.assert_array_equal(PCD()(gramian=np.diag([0.0, 1.0])), 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"progress": -0.1},
            "Argument `progress` must be at least 0. Received: progress=-0.1",
        ),
        (
            {"momentum": 1.0},
            "Argument `momentum` must be in the range [0, 1). "
            "Received: momentum=1.0",
        ),
        (
            {"epsilon": 0.0},
            "Argument `epsilon` must be greater than 0. Received: epsilon=0.0",
        ),
        (
            {"primary": 1.5},
            "Argument `primary` must be an integer. Received: primary=1.5",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        PCD(**arguments)
    assert str(error.value) == message


def test_a_main_task_that_is_none():
    with pytest.raises(ValueError) as error:
        PCD("c").bind(2, ("a", "b"))
    assert str(error.value) == (
        "Argument `primary` must be one of the tasks ['a', 'b']. "
        "Received: primary='c'."
    )
