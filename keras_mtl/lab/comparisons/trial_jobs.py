"""Runs trials of a user's model: in this process, or in one of their own."""

import multiprocessing
import os
import sys
import traceback
from multiprocessing.reduction import ForkingPickler
from typing import Any

from keras_mtl.lab.comparisons.running import Job


class TrialJob(Job):
    """The run of one cell of a user's comparison.

    Args:
        folder: `ComparisonFolder`.
        cell: `Cell`.
        trial: `Trial`.
        weighter: Config dict of the cell's weighter.
        alone: Boolean, whether each task is trained alone.
        threads: Integer, of TensorFlow, where it has a process of its own.
        at_a_time: Integer, jobs that share the machine.
    """

    def __init__(
        self, folder, cell, trial, weighter, alone, threads, at_a_time
    ):
        super().__init__(folder, cell, threads, at_a_time)
        self.in_process = at_a_time == 1
        self._order = (trial, weighter, cell.seed, alone)
        self._process = None

    def _work(self, log, on_epoch):
        if self.in_process:
            try:
                return work(self._order, on_epoch, lambda: self._stopped)
            except Exception as error:
                log.write_text(traceback.format_exc(), "utf-8")
                self.error = _line(error)
                return None
        # Not forked: TensorFlow's threads would be missing in the copy.
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe(duplex=False)
        threads = self._conditions["threads"]
        self._process = spawn.Process(
            target=_child, args=(theirs, self._order, threads), daemon=True
        )
        self._process.start()
        theirs.close()
        content: Any = None
        kind = "ended"
        try:
            while kind in ("ended", "epoch"):
                kind, content = ours.recv()
                if kind == "epoch":
                    on_epoch(content)
        except EOFError:
            kind = "ended"
        self._process.join()
        if kind == "result":
            return content
        if kind == "error":
            log.write_text(content[1], "utf-8")
            self.error = content[0]
        else:
            self.error = (
                f"its process ended, code {self._process.exitcode}"
                f"{_unguarded(self._order[0])}"
            )
        return None

    def stop(self):
        """Ends the run."""
        super().stop()
        if self._process is not None and self._process.is_alive():
            self._process.terminate()


def work(order, on_epoch, should_stop=None) -> dict:
    """Returns the content of a cell.

    Args:
        order: Tuple of `Trial`, config dict of a weighter, seed, and whether
            each task is trained alone.
        on_epoch: Function of a dict of `epoch`, `epochs` and `loss`.
        should_stop: Function that says after each epoch whether to end.
    """
    trial, weighter, seed, alone = order
    if not alone:
        return trial.run(weighter, seed, on_epoch, None, should_stop)
    runs = [
        trial.run(weighter, seed, on_epoch, task, should_stop)
        for task in trial.metrics.by_task
    ]
    return joined(runs)


def joined(runs) -> dict:
    """Returns the runs of single tasks as one run of all."""
    metrics = [run["metrics"] for run in runs]
    key = "score_by_task"
    by_task = {t: v for m in metrics for t, v in m[key].items()}
    return {
        **runs[0],
        "num_parameters": sum(run["num_parameters"] for run in runs),
        "metrics": {
            "score": sum(by_task.values()) / len(by_task),
            key: by_task,
            "scores": {t: v for m in metrics for t, v in m["scores"].items()},
            "epoch": max(m["epoch"] for m in metrics),
            "seconds": sum(m["seconds"] for m in metrics),
            "step_seconds": sum(m["step_seconds"] for m in metrics),
        },
        "history": {
            name: values
            for run in runs
            for task in run["metrics"][key]
            for name, values in run["history"].items()
            if name.startswith((f"{task}_", f"val_{task}_"))
        },
        "weights": None,
    }


def check_sendable(trial):
    """Raises if a trial cannot be sent to a process of its own."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    typed = script is None and _of_script(trial)
    if typed or (script is not None and not os.path.isfile(script)):
        raise ValueError(
            "With jobs above 1 each run has a process of its own, which "
            "imports make_model: it must be a function of a file. Received: "
            f"{trial.make_model!r}, in a session that has none. Move it to a "
            "module and import it, or pass jobs=1."
        )
    try:
        ForkingPickler.dumps(trial)
    except Exception as error:
        raise ValueError(
            "With jobs above 1 each run has a process of its own, to which "
            "make_model and data are sent: make_model must be a function at "
            "the top of a module, and data must be arrays. Pass jobs=1 "
            f"otherwise. {_line(error)}"
        ) from error


def _of_script(trial):
    return getattr(trial.make_model, "__module__", None) == "__main__"


def _unguarded(trial):
    """Returns the likely reason why a process could not begin, or ""."""
    if not _of_script(trial):
        return ""
    return (
        ". Each process imports the script anew: call compare() under "
        "`if __name__ == '__main__':`"
    )


def _child(pipe, order, threads):
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        pass  # The module of make_model has begun to compute when imported.
    try:
        result = work(order, lambda told: pipe.send(("epoch", told)))
        pipe.send(("result", result))
    except Exception as error:
        pipe.send(("error", (_line(error), traceback.format_exc())))


def _line(error):
    first = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {first}"
