"""Gramians and norms, layer by layer, against K backward passes in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.gradients import TaskGradients, roles
from tests.gradients.encoders import ENCODERS, batch, build, reference


def measured(model, data, scope, **kwargs):
    """Returns Gramian and norms, traced, of one batch."""

    @tf.function(**kwargs)
    def traced():
        x, y, sample_weight = data
        batch = TaskGradients(
            model, (x, y, sample_weight), training=True, scope=scope
        )
        return batch.gramian(scope), batch.norms(scope)

    gramian, norms = traced()
    return gramian.numpy(), norms.numpy()


def expected(name, data, scope, model):
    """Returns the Gramian of the same model in float64."""
    exact = build(name, "float64")
    exact.set_weights([w.astype("float64") for w in model.get_weights()])
    data = keras.tree.map_structure(
        lambda a: a.astype("float64") if a.dtype == "float32" else a, data
    )
    rows = reference(exact, data, roles.scope_variables(exact, scope))
    return rows @ rows.T


@pytest.mark.parametrize("scope", ["shared", "all", "last_shared_layer"])
@pytest.mark.parametrize("name", list(ENCODERS))
def test_gramian_is_that_of_separate_backward_passes(name, scope):
    model, data = build(name), batch(name)
    exact = expected(name, data, scope, model)
    gramian, norms = measured(model, data, scope)
    scale = np.trace(exact) / len(exact)
    np.testing.assert_allclose(gramian, exact, rtol=1e-4, atol=1e-5 * scale)
    np.testing.assert_allclose(norms**2, np.diag(exact), rtol=1e-4)
