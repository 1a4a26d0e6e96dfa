import numpy as np
import pytest

from keras_mtl.lab.datasets.mmoe_tasks import generate


def least_squares(x, labels):
    """The linear part of labels without sines, and what it leaves."""
    w, *_ = np.linalg.lstsq(x, labels[:, 0], rcond=None)
    return w, labels[:, 0] - x @ w


@pytest.mark.parametrize("p", [0.0, 0.5, 0.9, 1.0])
def test_weight_vectors_have_the_cosine_and_labels_the_noise(p):
    """Without sines `y_i = w_iᵀ x + ε`: least squares finds `w_i`."""
    x, y = generate(3, p, 20_000, num_inputs=10, num_sines=0, scale=2.0)
    (first, left), (second, _) = (least_squares(x, y[task]) for task in y)
    norms = np.linalg.norm(first), np.linalg.norm(second)
    # The noise of an estimate is 0.1 / sqrt(20,000) = 7e-4 per entry.
    np.testing.assert_allclose(norms, 2.0, atol=5e-3)
    assert first @ second / np.prod(norms) == pytest.approx(p, abs=3e-3)
    assert left.std() == pytest.approx(0.1, rel=0.02)


def test_labels_correlate_the_more_the_larger_p():
    found = []
    for p in (0.0, 0.5, 0.9, 1.0):
        _, y = generate(0, p, 20_000, num_inputs=10)
        labels = np.hstack([*y.values()])
        found.append(np.corrcoef(labels.T)[0, 1])
    assert found == sorted(found)
    assert found[0] == pytest.approx(0.0, abs=0.05)
    # Of equal tasks only the noise differs, of variance 0.01.
    assert found[-1] > 1.0 - 0.02 / labels.var()


def test_a_frequency_is_that_of_the_sines_alone():
    """Labels of one seed have one noise and one `wᵀ x`, which cancel."""
    found = {}
    for frequency in (1.0, 3.0):
        x, y = generate(7, 0.5, 64, num_sines=1, frequency=frequency)
        found[frequency] = x, y["task_1"][:, 0]
    _, linear = generate(7, 0.5, 64, num_sines=0)
    x, slow = found[1.0]
    np.testing.assert_array_equal(found[3.0][0], x)
    linear = linear["task_1"][:, 0]
    t = np.float64(linear - slow), np.float64(linear - found[3.0][1])
    assert np.abs(t).max() <= 1.0 + 1e-5  # Sines.
    assert np.abs(t[0] - t[1]).max() > 0.1


def test_sines_are_the_same_for_every_seed():
    """`Σ_j sin(j t / 2 + j)`, `t = wᵀ x`: what labels without them lack."""
    j = np.arange(1, 6)
    for seed in (1, 2):
        x, y = generate(seed, num_samples=20_000, num_inputs=5)
        _, plain = generate(seed, num_samples=20_000, num_inputs=5, num_sines=0)
        for task, labels in y.items():
            w, _ = least_squares(x, plain[task])
            t = x @ w
            sines = np.sin(j * t[:, None] / 2.0 + j).sum(axis=1)
            # Off by 7e-4 an entry of `w`, times slopes of up to 7.5.
            lacks = (labels - plain[task])[:, 0]
            np.testing.assert_allclose(lacks, sines, atol=0.05)


def test_seed_decides_and_more_samples_only_add():
    x, y = generate(4, 0.5, 10, num_inputs=3)
    more_x, more_y = generate(4, 0.5, 20, num_inputs=3)
    np.testing.assert_array_equal(more_x[:10], x)
    for task, labels in y.items():
        np.testing.assert_allclose(more_y[task][:10], labels, rtol=1e-5)
    assert not np.allclose(generate(5, 0.5, 10, num_inputs=3)[0], x)
    assert generate(4, 0.9, 10, num_inputs=3)[0].tolist() == x.tolist()
    assert x.dtype == y["task_1"].dtype == np.float32
    assert y["task_2"].shape == (10, 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"correlation": 1.5}, "`correlation` must lie between 0 and 1"),
        ({"num_inputs": 1}, "`num_inputs` must be at least 2"),
        ({"scale": 0.0}, "`scale` must be greater than 0"),
        ({"frequency": 0.0}, "`frequency` must be greater than 0"),
    ],
)
def test_bad_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        generate(**wrong)
