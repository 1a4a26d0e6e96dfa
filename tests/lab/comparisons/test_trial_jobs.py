"""Runs of a user's model in processes of their own, seen from within."""

import sys
from types import SimpleNamespace

import pytest
import tensorflow as tf

from keras_mtl.lab.comparisons import trial_jobs


class Pipe(list):
    def send(self, told):
        self.append(told)


def ran(run):
    """Returns what a process tells whose module has started TensorFlow."""
    tf.constant(1.0)
    pipe = Pipe()
    order = (SimpleNamespace(run=run), {}, 0, False)
    trial_jobs._child(pipe, order, threads=7)
    return pipe


def test_a_module_that_computes_when_imported():
    def run(weighter, seed, on_epoch, task, should_stop):
        on_epoch({"epoch": 1})
        return {"seed": seed}

    assert ran(run) == [("epoch", {"epoch": 1}), ("result", {"seed": 0})]


def test_an_error_is_told():
    [(kind, (line, trace))] = ran(lambda *_: {}["missing"])
    assert (kind, line) == ("error", "KeyError: 'missing'")
    assert "Traceback" in trace


@pytest.mark.parametrize("script", ["<stdin>", None])
def test_a_session_without_a_file_is_refused(monkeypatch, script):
    trial = SimpleNamespace(make_model=SimpleNamespace(__module__="__main__"))
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__file__", script, raising=False)
    with pytest.raises(ValueError, match=r"must be a function of a file\. R"):
        trial_jobs.check_sendable(trial)


def test_a_script_that_calls_compare_when_imported():
    model = SimpleNamespace(__module__="__main__")
    told = trial_jobs._unguarded(SimpleNamespace(make_model=model))
    assert told.endswith("call compare() under `if __name__ == '__main__':`")
    model.__module__ = "own.models"
    assert not trial_jobs._unguarded(SimpleNamespace(make_model=model))
