import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.weighters import RLW

STEPS, K = 10_000, 4


def draws(weighter):
    @tf.function
    def run():
        return tf.map_fn(
            lambda step: weighter(losses=tf.ones(K)),
            tf.range(STEPS),
            fn_output_signature="float32",
        )

    weighter.bind(K)
    return run().numpy()


# Standard deviations of K softmax(z), z normal or uniform, by 1e7 draws in
# NumPy; of K times a flat Dirichlet vector, sqrt((K - 1) / (K + 1)).
@pytest.mark.parametrize(
    ("distribution", "deviation"),
    [("normal", 0.7532), ("uniform", 0.2471), ("dirichlet", np.sqrt(3 / 5))],
)
def test_ten_thousand_draws(distribution, deviation):
    weights = draws(RLW(distribution, seed=1))
    assert (weights > 0.0).all()
    np.testing.assert_allclose(weights.sum(1), K, rtol=1e-5)
    np.testing.assert_allclose(weights.mean(0), 1.0, atol=0.05)
    np.testing.assert_allclose(weights.std(0), deviation, rtol=0.05)
    lag = [np.corrcoef(w[1:], w[:-1])[0, 1] for w in weights.T]
    np.testing.assert_allclose(lag, 0.0, atol=0.05)


def test_the_normal_draws_are_normal():
    """The logits' differences are those of normal draws: 0, 2, 3 * 2²."""
    logits = np.log(draws(RLW(seed=2)).astype("float64"))
    difference = logits[:, 0] - logits[:, 1]
    moments = [np.mean(difference**n) for n in (1, 2, 4)]
    np.testing.assert_allclose(moments, [0.0, 2.0, 12.0], atol=0.7)
    assert abs(moments[0]) < 0.05


def test_a_seed_names_its_draws():
    first, again, other = (
        RLW(seed=seed)(losses=[1.0, 1.0]).numpy() for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    rlw = RLW()
    again = RLW.from_config(rlw.get_config())
    np.testing.assert_array_equal(
        rlw(losses=[1.0, 1.0]), again(losses=[1.0, 1.0])
    )


def test_present_tasks_share_what_absent_ones_leave():
    rlw = RLW(seed=0)
    kept = rlw(losses=np.ones(3)).numpy()[1]
    for _ in range(3):
        weights = rlw(losses=np.ones(3), present=[1.0, 0.0, 1.0]).numpy()
        assert weights[1] == kept
        np.testing.assert_allclose(weights.sum(), 3.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"distribution": "gaussian"},
            "Argument `distribution` must be one of ['normal', 'uniform', "
            "'dirichlet']. Received: distribution='gaussian'.",
        ),
        (
            {"seed": -1},
            "Argument `seed` must be at least 0. Received: seed=-1",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        RLW(**arguments)
    assert str(error.value) == message
