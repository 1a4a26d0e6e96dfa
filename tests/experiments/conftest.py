import pytest

from keras_mtl.experiments.running import train
from tests.experiments.small_run import SmallExperiment


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The folder of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(SmallExperiment(), out, save_seconds=0.0)
    return out
