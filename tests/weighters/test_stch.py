import numpy as np
import pytest

from keras_mtl.weighters import STCH, Tchebycheff
from tests.golden import golden_losses, golden_weights


@pytest.mark.parametrize("smoothing", [1.0, 0.1])
def test_golden(smoothing):
    stch = STCH(smoothing, warmup_epochs=1)
    losses, epochs = golden_losses()
    received = [
        stch(losses=row, epoch=epoch)
        for row, epoch in zip(losses, epochs, strict=True)
    ]
    expected = golden_weights(f"STCH(mu={smoothing}, warmup=1)", "LibMTL")
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_golden_goes_on_after_the_nadir():
    """The nadir in NumPy: 10 losses of epoch 1, then the formula."""
    losses = np.random.default_rng(0).uniform(0.1, 3.0, (15, 3))
    stch, nadir = STCH(0.5, warmup_epochs=1), losses[5:10].mean(0)
    for step, row in enumerate(losses):
        weights = stch(losses=row, epoch=step // 5).numpy()
        np.testing.assert_allclose((weights * row).sum(), 3.0, rtol=1e-5)
        share = (row / nadir) ** 2 if step >= 10 else np.ones(3)
        expected = 3 * share / share.sum() / row
        np.testing.assert_allclose(weights, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("smoothing", "share"),
    [(1e6, [1.0, 1.0, 1.0]), (1e-3, [0.0, 3.0, 0.0])],
)
def test_limits_of_the_smoothing(smoothing, share):
    """Of w L: reciprocals, or all on the largest loss per nadir."""
    stch = STCH(smoothing, warmup_epochs=0)
    stch(losses=[1.0, 0.1, 5.0], epoch=0)
    weights = stch(losses=[0.5, 0.09, 4.0], epoch=1)
    np.testing.assert_allclose(
        weights * [0.5, 0.09, 4.0], share, rtol=1e-5, atol=1e-6
    )


def test_a_task_without_labels_in_the_nadirs_epoch_takes_its_next_loss():
    stch = STCH(warmup_epochs=0)
    stch(losses=[2.0, 0.0], present=[1.0, 0.0], epoch=0)
    weights = stch(losses=[2.0, 7.0], epoch=1)
    np.testing.assert_allclose(weights * [2.0, 7.0], 1.0, rtol=1e-6)
    weights = stch(losses=[2.0, 3.5], epoch=1)
    np.testing.assert_allclose(weights * [2.0, 3.5], [4 / 3, 2 / 3], rtol=1e-5)


def test_absent_tasks_are_left_out():
    stch, other = STCH(warmup_epochs=0), STCH(warmup_epochs=0)
    stch(losses=[2.0, 1.0, 3.0], epoch=0)
    other(losses=[2.0, 1.0], epoch=0)
    weights = stch(losses=[1.0, 3.0, 0.0], present=[1.0, 1.0, 0.0], epoch=1)
    expected = other(losses=[1.0, 3.0], epoch=1)
    np.testing.assert_allclose(weights[:2], expected, rtol=1e-6)
    np.testing.assert_allclose(weights[2], 1 / 3, rtol=1e-6)


def test_a_fit_that_begins_anew_measures_anew():
    stch = STCH(warmup_epochs=0)
    for epoch, first in ((0, 8.0), (1, 4.0), (0, 1.0), (0, 3.0)):
        stch(losses=[first, 1.0], epoch=epoch)
    np.testing.assert_allclose(stch.baseline, [2.0, 1.0])


@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_the_form_without_logarithms_is_tchebycheffs(smoothing):
    """TorchJD's weights of the losses, by our other class, times K."""
    losses, _ = golden_losses()
    method = f"TchebycheffSmooth(mu={smoothing}, u=1)"
    received = [Tchebycheff(smoothing=smoothing)(losses=row) for row in losses]
    expected = 3 * golden_weights(method, "torchjd")
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"smoothing": 0},
            "Argument `smoothing` must be greater than 0. "
            "Received: smoothing=0",
        ),
        (
            {"warmup_epochs": 1.5},
            "Argument `warmup_epochs` must be an integer. "
            "Received: warmup_epochs=1.5",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        STCH(**arguments)
    assert str(error.value) == message
