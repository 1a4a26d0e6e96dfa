"""The output folder of a run: what it holds, and going on after a kill."""

import json
import math
import os
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

CONFIG, METRICS, CHECKPOINTS = "config.json", "metrics.json", "checkpoints"


class RunFolder:
    """The files of one run.

    `config.json` says which run it is, and `metrics.json`, the last to be
    written, that it is finished. Until then `checkpoints/` holds the latest
    epoch and the best one.

    Args:
        path: String, the folder; it may not exist yet.
        config: Dict, `Experiment.config()`.
        resume: Boolean, whether to go on with a run that is there.

    Raises:
        ValueError: If the folder is not writable, holds another run, or a run
            while `resume` is false.
    """

    def __init__(self, path, config, resume=False):
        self.path = Path(path)
        self.config = json.loads(json.dumps(config))
        self._check_writable()
        known = {CONFIG, METRICS, CHECKPOINTS}
        present = {
            entry.name
            for entry in self.path.iterdir()
            # What a kill in the midst of `write` leaves.
            if entry.suffix != ".partial"
        }
        if CONFIG in present:
            self._check_same_run()
            self._check_resume(resume)
        elif present - known:
            raise ValueError(
                f"The folder '{self.path}' is not empty and holds no run. "
                f"Found: {sorted(present)[:5]}. Pass another --out."
            )

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return (self.path / METRICS).exists()

    def read(self, name):
        """Returns the content of a JSON file of the run."""
        try:
            return json.loads((self.path / name).read_text("utf-8"))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"'{self.path / name}' is not valid JSON: {error}. Pass "
                "another --out."
            ) from error

    def write(self, name, content):
        """Writes a JSON file, whole or not at all; NaN becomes null."""
        write_json(self.path / name, content)

    def begin(self):
        """Writes which run this is, by which versions."""
        self.write(CONFIG, self.config)
        self.write("versions.json", versions())

    def save(self, model, state, task_weights):
        """Writes a checkpoint, and drops all but this and the best.

        Args:
            model: The model after `state["epochs_done"]` epochs.
            state: Dict for JSON with `epochs_done` and `best_epoch`.
            task_weights: `(steps, K)` array.
        """
        folder = self._checkpoint(state["epochs_done"])
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        model.save(partial / "model.keras")
        np.save(partial / "weights.npy", task_weights, allow_pickle=False)
        (partial / "state.json").write_text(json.dumps(state), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
        keep = {folder, self._checkpoint(state["best_epoch"] or 0)}
        for other in folder.parent.iterdir():
            if other not in keep:
                shutil.rmtree(other)

    def latest(self):
        """Returns `(state, task_weights)` of the latest checkpoint, or None."""
        done = sorted((self.path / CHECKPOINTS).glob("epoch_?????"))
        if not done:
            return None
        state = json.loads((done[-1] / "state.json").read_text("utf-8"))
        return state, np.load(done[-1] / "weights.npy", allow_pickle=False)

    def load_model(self, epoch):
        """Returns the model of a checkpoint, ready to go on."""
        return keras.saving.load_model(self._checkpoint(epoch) / "model.keras")

    def finish(self, model, history, task_weights, files, metrics):
        """Writes the results."""
        model.save(self.path / "model.keras")
        np.save(self.path / "weights.npy", task_weights, allow_pickle=False)
        for name, text in files.items():
            (self.path / name).write_text(text, "utf-8")
        self.write("history.json", history)
        self.write(METRICS, metrics)
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)

    def _checkpoint(self, epoch):
        return self.path / CHECKPOINTS / f"epoch_{epoch:05d}"

    def _check_writable(self):
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ValueError(
                f"The output folder '{self.path}' is not writable: "
                f"{error.strerror}. Pass another --out."
            ) from error

    def _check_same_run(self):
        differs = difference(self.read(CONFIG), self.config)
        if differs:
            raise ValueError(
                f"The folder '{self.path}' holds another run: {differs}. Pass "
                "another --out."
            )

    def _check_resume(self, resume):
        if resume:
            return
        if self.finished:
            raise ValueError(
                f"The folder '{self.path}' holds this run, finished. Read its "
                f"{METRICS}, or pass another --out."
            )
        raise ValueError(
            f"The folder '{self.path}' holds this run, not finished. Pass "
            "--resume to go on, or another --out."
        )


def difference(there, here) -> str:
    """Returns in words how two configurations differ, or ""."""
    names = [*there, *(name for name in here if name not in there)]
    return "; ".join(
        f"{name} is {there.get(name)!r} there and {here.get(name)!r} here"
        for name in names
        if there.get(name) != here.get(name)
    )


def write_json(path, content, indent=2):
    """Writes a JSON file, whole or not at all; NaN becomes null."""
    content = keras.tree.map_structure(_strict, content)
    text = json.dumps(content, indent=indent, allow_nan=False) + "\n"
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, "utf-8")
    os.replace(partial, path)


def _strict(value):
    unknown = isinstance(value, float) and not math.isfinite(value)
    return None if unknown else value


def versions():
    """Returns the versions that a run depends on."""
    import keras_mtl

    return {
        "keras_mtl": keras_mtl.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
    }
