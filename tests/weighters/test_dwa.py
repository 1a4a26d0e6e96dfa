import numpy as np
import pytest

from keras_mtl.weighters import DWA


def softmax(values):
    return np.exp(values) / np.sum(np.exp(values))


def test_per_step_uses_new_weights_in_the_next_step():
    dwa = DWA(temperature=0.1, momentum=0.5)
    np.testing.assert_allclose(dwa(losses=[1.0, 1.0]), [1.0, 1.0])
    np.testing.assert_allclose(dwa(losses=[0.5, 1.0]), [1.0, 1.0])
    # Moving averages 1 -> 0.75 and 1 -> 1.
    expected = 2 * softmax(np.array([7.5, 10.0]))
    np.testing.assert_allclose(dwa(losses=[9.0, 9.0]), expected, rtol=1e-5)


def test_per_epoch_is_uniform_for_two_epochs():
    dwa = DWA(per="epoch")
    for epoch, losses in enumerate([[4.0, 4.0], [2.0, 4.0]]):
        for shift in (-1.0, 1.0):
            weights = dwa(losses=np.add(losses, shift), epoch=epoch)
            np.testing.assert_allclose(weights, [1.0, 1.0])
    expected = 2 * softmax(np.array([0.25, 0.5]))
    for losses in ([9.0, 1.0], [1.0, 9.0]):
        weights = dwa(losses=losses, epoch=2)
        np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_per_epoch_starts_a_new_epoch_when_fit_counts_anew():
    dwa = DWA(per="epoch")
    for epoch, loss in [(0, 4.0), (1, 2.0), (0, 1.0)]:
        dwa(losses=[loss, 4.0], epoch=epoch)
    expected = 2 * softmax(np.array([0.25, 0.5]))
    weights = dwa(losses=[1.0, 1.0], epoch=1)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_per_epoch_means_are_over_the_steps_with_labels():
    dwa = DWA(per="epoch")
    dwa(losses=[4.0, 4.0], epoch=0)
    dwa(losses=[2.0, 4.0], epoch=1)
    dwa(losses=[0.0, 4.0], present=[0.0, 1.0], epoch=1)
    expected = 2 * softmax(np.array([0.25, 0.5]))
    weights = dwa(losses=[1.0, 1.0], epoch=2)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_absent_task_keeps_its_average_and_ratio():
    dwa = DWA()
    for losses in ([1.0, 2.0], [3.0, 1.0]):
        dwa(losses=losses)
    average, ratio = dwa.average.numpy(), dwa.ratio.numpy()
    dwa(losses=[0.0, 5.0], present=[0.0, 1.0])
    assert dwa.average.numpy()[0] == average[0]
    assert dwa.ratio.numpy()[0] == ratio[0]
    assert dwa.average.numpy()[1] != average[1]


@pytest.mark.parametrize("losses", [[0.0, 1.0], [1e-38, 1e-38], [1e15, 0.0]])
def test_weights_stay_finite_when_losses_leap(losses):
    dwa = DWA()
    for step in (losses, [1e15, 1e15], losses, losses):
        weights = dwa(losses=step).numpy()
        assert np.isfinite(weights).all()
        np.testing.assert_allclose(weights.sum(), 2.0, rtol=1e-6)


def test_needs_epoch_only_per_epoch():
    assert set(DWA().needs) == {"losses", "present"}
    assert set(DWA(per="epoch").needs) == {"losses", "present", "epoch"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"temperature": 0},
            "Argument `temperature` must be greater than 0. "
            "Received: temperature=0",
        ),
        (
            {"momentum": 1.0},
            "Argument `momentum` must be in the range [0, 1). "
            "Received: momentum=1.0",
        ),
        (
            {"per": "epochs"},
            "Argument `per` must be one of ['step', 'epoch']. "
            "Received: per='epochs'. Did you mean 'epoch'?",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        DWA(**arguments)
    assert str(error.value) == message


def test_error_without_epoch():
    with pytest.raises(ValueError, match="needs the signal `epoch`"):
        DWA(per="epoch")(losses=[1.0, 2.0])
