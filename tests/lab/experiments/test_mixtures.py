"""Experiments whose shared encoder can be an expert, or a tower, instead."""

import keras
import numpy as np
import pytest

from keras_mtl.architectures import PLE, CrossStitch, MMoE
from keras_mtl.lab.experiments import architectures_of, make_experiment
from keras_mtl.lab.experiments.mixtures import ARCHITECTURES, around
from keras_mtl.lab.runs.running import train

KINDS = {"mmoe": MMoE, "ple": PLE, "cross_stitch": CrossStitch}
SMALL = {
    "demo": {"num_train": 20},
    "mtregression": {"num_tasks": 3, "num_train": 8, "num_test": 4},
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", SMALL)
def test_experts_are_like_the_shared_bottom(name, architecture):
    shared = make_experiment(name, **SMALL[name])
    experiment = make_experiment(name, architecture=architecture, **SMALL[name])
    if architecture == "shared_bottom":
        # A run of before has the same configuration.
        assert experiment == shared
        assert "architecture" not in experiment.config()
        return
    assert experiment.config()["architecture"] == architecture
    parts = experiment.parts()
    x = parts.train[0][:2]
    sizes = [part.build(parts) for part in (shared, experiment)]
    for model in sizes:
        model(x)
    plain, mixed = sizes
    encoder = mixed.encoder
    assert isinstance(encoder, KINDS[architecture])
    tasks = len(mixed.task_names)
    below = 0 if encoder.bottom is None else encoder.bottom.count_params()
    one = plain.encoder.count_params() - below
    copies = {"mmoe": 4, "ple": tasks + 1, "cross_stitch": tasks}
    found = encoder.count_params() - below - copies[architecture] * one
    # What is left are gates, each from what the experts read (D and a bias),
    # or coefficients of units after each block, by hand.
    width = 576 if name == "demo" else x.shape[-1]
    blocks, units = (1, 48) if name == "demo" else (4, 100)
    left = {
        "mmoe": tasks * (width + 1) * 4,
        "ple": tasks * (width + 1) * 2,
        "cross_stitch": blocks * tasks**2 * units,
    }
    assert found == left[architecture]
    for task, value in encoder(x).items():
        assert value.shape == (2, units), task


def test_one_trains_and_is_saved(tmp_path):
    experiment = make_experiment(
        "demo", architecture="ple", weighter="mgda", epochs=1, num_train=20
    )
    metrics = train(experiment, tmp_path)
    assert 0.0 <= metrics["test_accuracy"] <= 1.0
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.encoder, PLE)


def test_experts_that_start_orthogonal_start_apart():
    start = keras.initializers.Orthogonal()
    layer = keras.layers.Dense(3, kernel_initializer=start)
    encoder = around("mmoe", ["a", "b"], [layer])
    bank = np.array(encoder.experts(np.eye(3, dtype="float32")))
    for one in range(4):
        np.testing.assert_allclose(
            bank[:, one].T @ bank[:, one], np.eye(3), atol=1e-6
        )
        for other in range(one):
            assert np.abs(bank[:, one] - bank[:, other]).max() > 0.1


def test_encoders_by_name():
    """Of texts, the kind of encoder stays another setting."""
    assert architectures_of("demo", "mmoe,ple") == ["mmoe", "ple"]
    assert architectures_of("topics", "mmoe") == ["mmoe"]
    assert architectures_of("topics", "bert") == []
    assert architectures_of("toxcast", "mmoe") == ["mmoe"]
    with pytest.raises(ValueError, match=r"must be one of \['shared_bottom', "):
        architectures_of("toxcast", "ple")
    with pytest.raises(ValueError, match="architecture of a discriminator"):
        make_experiment("topics", architecture="mmoe", discriminator=0.1)
