"""A model's state as a tree of arrays, which Orbax checkpoints hold."""

import keras
import numpy as np
import pytest

from tests.training import differing, new_model, state, step

SHAPE = {"dropout": 0.3, "batch_norm": True}


def plain(tree):
    """Returns what Orbax gives back: scalars are Python's."""
    return keras.tree.map_structure(lambda v: v if v.ndim else v.item(), tree)


def test_training_goes_on_bit_for_bit():
    model = new_model("slaw", model=SHAPE, run_eagerly=True)
    for seed in range(2):
        step(model, seed)
    tree = plain(model.get_state_tree(value_format="numpy_array"))
    # Its variables have other paths, for Keras numbers names as it goes.
    other = new_model("slaw", seed=9, model=SHAPE, run_eagerly=True)
    other.set_state_tree(tree)
    assert not differing(state(other), state(model))
    for each in (model, other):
        step(each, 5)
    assert not differing(state(other), state(model))


def test_a_tree_of_another_model_changes_nothing():
    tree = new_model("slaw").get_state_tree(value_format="numpy_array")
    for other in (
        new_model("dwa"),
        new_model("slaw", model={"tasks": ("stars", "tone", "class")}),
        new_model("slaw", model=SHAPE),
    ):
        before = state(other)
        with pytest.raises(ValueError, match="The checkpoint does not fit the"):
            other.set_state_tree(tree)
        assert not differing(state(other), before)
    wide = {**tree, "trainable_variables": dict(tree["trainable_variables"])}
    name = "encoder.0.kernel"
    wide["trainable_variables"][name] = np.zeros((4, 6), "float32")
    with pytest.raises(ValueError, match=r"\['encoder.0.kernel'\] are in one"):
        new_model("slaw").set_state_tree(wide)
