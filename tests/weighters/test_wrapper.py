"""What all wrappers leave to the weighter inside."""

import keras
import numpy as np
import pytest

from keras_mtl import weighters
from keras_mtl.signals import reads_query, resolve_scope
from keras_mtl.weighters import (
    DBMTL,
    MGDA,
    Clipped,
    Every,
    Fixed,
    OfLogLosses,
    PCGrad,
    Scheduled,
    Smoothed,
    Uncertainty,
    Wrapper,
)
from tests.training import differing, new_model, state, step

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)
NESTED = {
    "smoothed": lambda: Smoothed(PCGrad(seed=1)),
    "log losses, every second": lambda: Every(OfLogLosses("mgda"), steps=2),
    "four": lambda: Scheduled(
        Smoothed(Fixed(Clipped("meta_weighting", 0.5), {"tone": 1.0})), 1, 2
    ),
    "trained": lambda: Smoothed(Uncertainty()),
}


def test_signals_scope_and_heads_are_those_of_the_inner_weighter():
    wrapped = Smoothed(Scheduled(MGDA(scope="all"), per="step"))
    assert wrapped.needs == ("gramian", "present")
    assert resolve_scope(wrapped, common=True) == "all"
    assert not wrapped.scales_heads
    assert wrapped.momentum == 0.9
    assert Smoothed("slaw").scales_heads
    assert reads_query(Smoothed("meta_weighting"))
    assert Clipped("slaw").observes == ()
    assert Scheduled("slaw").needs == ("losses", "present", "epoch")
    with pytest.raises(AttributeError, match="solver"):
        Smoothed("slaw").solver_gap  # noqa: B018


@pytest.mark.parametrize("name", NESTED)
def test_saved_and_loaded_it_goes_on_bit_for_bit(name, tmp_path):
    model = new_model(NESTED[name](), run_eagerly=True)
    for number in range(3):
        step(model, number)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.weighter.get_config() == model.weighter.get_config()
    for number in range(3, 6):
        for either in (model, loaded):
            step(either, number)
    assert not differing(state(loaded), state(model))


def test_in_training_an_optimizer_trains_what_is_inside():
    """Smoothing by momentum 0 changes nothing; kinds come from the losses."""
    models = [new_model(w) for w in (Uncertainty(), Smoothed(Uncertainty(), 0))]
    for number in range(3):
        for model in models:
            step(model, number)
    alone, wrapped = (model.weighter for model in models)
    assert wrapped.inferred_kinds == alone.inferred_kinds
    np.testing.assert_allclose(
        wrapped.weighter.log_variance, alone.log_variance, rtol=1e-6
    )
    assert len(wrapped.losses) == 1


@pytest.mark.parametrize("name", weighters.WRAPPERS)
def test_names(name):
    cls = weighters.WRAPPERS[name]
    assert issubclass(cls, Wrapper)
    assert getattr(weighters, cls.__name__) is cls
    with pytest.raises(ValueError) as error:
        weighters.get(name)
    assert str(error.value) == (
        f"{cls.__name__} goes around another weighter. Pass one: "
        f"{cls.__name__}('slaw', ...)."
    )


def test_make_and_config_dicts():
    made = weighters.make("smoothed", weighter="slaw", momentum=0.5)
    config = {"class_name": "smoothed", "config": {"weighter": "slaw"}}
    for weighter in (made, weighters.get(config)):
        assert type(weighter) is Smoothed
        assert type(weighter.weighter) is weighters.SLAW


def test_a_wrapper_that_leaves_heads_alone_is_refused_where_they_differ():
    for inner in (DBMTL(), OfLogLosses(MGDA()), Smoothed(DBMTL())):
        with pytest.raises(ValueError, match="whose heads have weights of"):
            Fixed(inner, {"a": 1.0})
