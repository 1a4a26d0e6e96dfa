import tempfile

import numpy as np
import pytest

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.lab.benchmarks import memory, workloads
from keras_mtl.lab.benchmarks.rows import Blueprint, WeighterRow, weighter_rows
from tests import warm


def test_a_fresh_process_has_a_peak_of_its_own():
    # Larger than the other process: its own peak must not show there.
    ballast = np.ones(2**27)
    sizes = {"vocabulary_size": 30, "embedding_dim": 4, "num_filters": 3}
    work = workloads.text_cnn(2, 4, num_words=5, **sizes)
    blueprint = Blueprint.of(work.model, (work.x, work.y))
    row = weighter_rows(blueprint, "uniform", [])["uniform"]
    peak = memory.peak_memory(row)
    assert 50e6 < peak < ballast.nbytes


class Mine(MultiTaskModel):
    pass


def forked(command, input, **_):
    """Does what `subprocess.run` does for `peak_memory`."""
    with tempfile.TemporaryFile() as job:
        job.write(input)
        job.seek(0)
        done = warm.run(*command[1:], stdin=job)
    done.stderr = done.stderr.encode()
    done.check_returncode()
    return done


def test_a_class_that_no_module_holds_is_refused(monkeypatch):
    monkeypatch.setattr(memory.subprocess, "run", forked)
    Mine.__module__ = "__main__"
    work = workloads.mlp(2, 4, widths=(3, 2))
    uniform = weighters.serialize(weighters.get("uniform"))
    made = Mine(work.model.encoder, work.model.heads)
    made.compile("sgd", "mse")
    row = WeighterRow(Blueprint.of(made, (work.x, work.y)), uniform)
    with pytest.raises(ValueError, match=r"Mine.*define them in a module"):
        memory.peak_memory(row)
