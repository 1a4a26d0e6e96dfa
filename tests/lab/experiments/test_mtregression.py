import numpy as np
import pytest

from keras_mtl.lab.experiments import make_experiment
from keras_mtl.lab.experiments.mtregression import (
    MTRegressionExperiment,
    ideal_weights,
    weight_errors,
)

SMALL = {"num_tasks": 3, "num_train": 40, "num_test": 10}


def test_settings_are_those_of_the_paper():
    experiment = MTRegressionExperiment()
    assert (experiment.epochs, experiment.batch_size) == (300, 304)
    parts = MTRegressionExperiment(**SMALL).load()
    model = experiment.build(parts)
    MTRegressionExperiment(**SMALL).compile(model)
    optimizer = model.optimizer
    assert float(optimizer.learning_rate) == pytest.approx(7e-4)
    assert (optimizer.epsilon, optimizer.global_clipnorm) == (1e-5, 0.5)
    dense = [layer for layer in model.encoder.layers if layer.weights]
    assert [layer.units for layer in dense] == [100] * 4
    for layer in (dense[1], *model.heads.values()):
        kernel, bias = layer.get_weights()
        product = kernel @ kernel.T
        np.testing.assert_allclose(product, 2.0 * np.eye(100), atol=1e-5)
        assert not bias.any()


def test_ideal_weights():
    weights = ideal_weights(3)
    np.testing.assert_allclose(weights.mean(), 1.0)
    np.testing.assert_allclose(weights[0] / weights, [1.0, 4.0, 9.0])
    given = MTRegressionExperiment(**SMALL, weighter="ideal_constant")
    found = given.make_weighter()(losses=[1.0, 2.0, 3.0])
    np.testing.assert_allclose(found, weights, rtol=1e-6)


def test_error_of_weights_does_not_depend_on_their_scale():
    ideal = ideal_weights(10)
    errors = weight_errors(np.stack([ideal, 7.0 * ideal, np.ones(10)]))
    np.testing.assert_allclose(errors[:2], 0.0, atol=1e-12)
    # The mean of squares of 1 - 1/sigma^2 scaled to sum to ten, in NumPy.
    assert errors[2] == pytest.approx(np.mean((ideal - 1.0) ** 2))


def test_zero_predictor_scores_as_published():
    experiment = MTRegressionExperiment(num_train=1)

    class Zeros:
        def predict(self, x, **kwargs):
            return {f"task_{k}": np.zeros((len(x), 100)) for k in range(1, 11)}

    metrics = experiment.evaluate(Zeros(), experiment.load(), np.ones((3, 10)))
    assert metrics["normalised_loss"] == pytest.approx(57.8, abs=0.5)
    assert list(metrics["loss_weight_error"]) == ["1"]


def test_unknown_names_are_refused():
    with pytest.raises(ValueError) as error:
        make_experiment("topic")
    assert str(error.value).endswith(
        "]. Received: experiment='topic'. Did you mean 'topics'?"
    )
    with pytest.raises(ValueError, match="has no setting 'glove'"):
        make_experiment("demo", glove="x")
