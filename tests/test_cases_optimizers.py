"""Cases of users: several optimizers, and layers frozen for a while."""

import keras
import numpy as np
import pytest

from keras_mtl import weighters
from tests.training import (
    differing,
    make_data,
    new_model,
    query_for,
    read,
    state,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)


def several(encoder=0.1, heads=0.01, momentum=0.0):
    """Rates of their own for encoder and heads."""
    sgd = keras.optimizers.SGD
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            sgd(heads, momentum), {"trunk/.*": sgd(encoder, momentum)}
        )
    )


@pytest.mark.parametrize("name", ["uniform", "pcgrad", "uncertainty"])
def test_each_part_moves_at_its_own_rate(name):
    """SGD: the step of the encoder is 10 times that of one with rate 0.01."""
    x, y = make_data()
    model = new_model(name, several())
    plain = new_model(name, keras.optimizers.SGD(0.01))
    before = read(plain.trainable_variables)
    for each in (model, plain):
        each.train_on_batch(x, y)
    trunk = {v.path for v in model.encoder.trainable_variables}
    assert len(trunk) == 2
    for variable, start, mine, other in zip(
        model.trainable_variables,
        before,
        read(model.trainable_variables),
        read(plain.trainable_variables),
        strict=True,
    ):
        factor = 10.0 if variable.path in trunk else 1.0
        np.testing.assert_allclose(
            mine - start, factor * (other - start), rtol=1e-4, atol=1e-6
        )


def test_a_weighter_takes_the_rate_of_the_variables_that_it_reads():
    """`a` enters MetaWeighting's step: rates 0.1 for all, and 0.1 for those."""
    x, y = make_data()
    query = query_for("meta_weighting")
    meta = weighters.MetaWeighting(scope="shared")
    model = new_model(meta, several(encoder=0.1, heads=0.1))
    plain = new_model(
        weighters.MetaWeighting(scope="shared"), keras.optimizers.SGD(0.1)
    )
    for each in (model, plain):
        each.train_on_batch(x, y, query_data=query)
    assert model.task_weights == pytest.approx(plain.task_weights)
    assert set(model.task_weights.values()) != {1.0}
    model = new_model("meta_weighting", several())
    with pytest.raises(ValueError, match="several optimizers with rates of"):
        model.train_on_batch(x, y, query_data=query)


def test_several_optimizers_are_saved_and_extended(tmp_path):
    """Another weighter with variables of its own: momenta are kept."""
    x, y = make_data()
    model = new_model("slaw", several(momentum=0.9))
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not differing(state(loaded), state(model))
    momenta = {
        v.path.partition("/")[2]: value
        for v, value in zip(
            model.optimizer.variables,
            read(model.optimizer.variables),
            strict=True,
        )
        if "momentum" in v.path
    }
    assert len(momenta) == 8
    history = model.fit(x, y, weighter="uncertainty", epochs=0, verbose=0)
    assert history.epoch == []
    after = {v.path.partition("/")[2]: v for v in model.optimizer.variables}
    for path, value in momenta.items():
        np.testing.assert_array_equal(read([after[path]])[0], value)
    x[0, 0] = np.nan
    before = state(model)
    assert model.train_on_batch(x, y, return_dict=True)["skipped_steps"] == 1
    assert not differing(state(model), before)


@pytest.mark.parametrize("name", ["pcgrad", "gradnorm", "mgda"])
def test_a_frozen_encoder_trains_the_heads_as_uniform_weights_do(name):
    x, y = make_data()
    models = []
    for weighter in (name, "uniform"):
        model = new_model(weighter, keras.optimizers.SGD(0.1))
        model.encoder.trainable = False
        models.append(model)
    model, uniform = models
    trunk, weighter = (
        read(model.encoder.variables),
        read(model.weighter.variables),
    )
    with pytest.warns(UserWarning, match="encoder has no trainable variables"):
        history = model.fit(x, y, epochs=2, shuffle=False, verbose=0).history
    expected = uniform.fit(x, y, epochs=2, shuffle=False, verbose=0).history
    assert history == expected
    np.testing.assert_equal(read(model.weighter.variables), weighter)
    np.testing.assert_equal(read(model.encoder.variables), trunk)
    # Unfrozen between two fits, with the state of the optimizer kept.
    model.encoder.trainable = True
    model.fit(x, y, epochs=1, verbose=0)
    assert int(model.optimizer.iterations) == 3
    moved = zip(read(model.encoder.variables), trunk, strict=True)
    assert all(np.any(new != old) for new, old in moved)
    now = zip(read(model.weighter.variables), weighter, strict=True)
    assert any(np.any(new != old) for new, old in now)


def test_lora_between_two_fits():
    """The kernel stays, its low-rank difference and the heads learn."""
    x, y = make_data()
    model = new_model("pcgrad")
    model.fit(x, y, verbose=0)
    dense = model.encoder.get_layer("trunk")
    dense.enable_lora(2)
    kernel = np.array(dense._kernel)
    bias = np.array(dense.bias)
    model.fit(x, y, epochs=2, verbose=0)
    np.testing.assert_array_equal(np.array(dense._kernel), kernel)
    assert np.any(np.array(dense.lora_kernel_b) != 0.0)
    assert np.any(np.array(dense.bias) != bias)
    assert int(model.optimizer.iterations) == 3
