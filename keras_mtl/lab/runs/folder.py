"""The output folder of a run: what it holds, and going on after a kill."""

import json
import sys
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.lab.runs.checkpoints import Checkpoints
from keras_mtl.lab.runs.identity import installed_version
from keras_mtl.lab.runs.json_files import read_object, write_json

CONFIG, METRICS, CHECKPOINTS = "config.json", "metrics.json", "checkpoints"
# What an experiment may draw of its results.
PICTURE = "pictures.png"


class RunFolder:
    """The files of one run.

    `config.json` says which run it is, and `metrics.json`, the last to be
    written, that it is finished. Until then `checkpoints/` holds what it goes
    on from.

    Args:
        path: String, the folder; it may not exist yet.
        config: Dict, `Experiment.config()`.
        resume: Boolean, whether to go on with a run that is there.

    Attributes:
        checkpoints: `Checkpoints`.

    Raises:
        ValueError: If the folder is not writable, holds another run, or a run
            while `resume` is false.
    """

    def __init__(self, path, config, resume=False):
        self.path = Path(path)
        self.config = json.loads(json.dumps(config))
        self.checkpoints = Checkpoints(self.path / CHECKPOINTS)
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
        return read_object(self.path / name, "Pass another --out.")

    def write(self, name, content):
        """Writes a JSON file, whole or not at all; NaN becomes null."""
        with self._saying_what_to_do():
            write_json(self.path / name, content)

    def begin(self, packages=()):
        """Writes which run this is, by which versions.

        Args:
            packages: Names, as for `versions`.
        """
        self.write(CONFIG, self.config)
        self.write("versions.json", versions(packages))

    def save(self, model, state, task_weights):
        """Writes a checkpoint; see `Checkpoints.save`."""
        with self._saying_what_to_do():
            self.checkpoints.save(model, state, task_weights)

    def finish(self, model, history, task_weights, files, metrics):
        """Writes the results."""
        with self._saying_what_to_do():
            model.save(self.path / "model.keras")
            np.save(self.path / "weights.npy", task_weights, allow_pickle=False)
            for name, text in files.items():
                (self.path / name).write_text(text, "utf-8")
        self.write("history.json", history)
        self.write(METRICS, metrics)
        self.checkpoints.remove()

    @contextmanager
    def _saying_what_to_do(self):
        try:
            yield
        except OSError as error:
            raise ValueError(
                f"The output folder '{self.path}' cannot be written to: "
                f"{error.strerror or error}. What was saved before is whole: "
                "make room, and go on by --resume; `compare` goes on by itself."
            ) from error

    def _check_writable(self):
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / "probe.partial"
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
    pairs = {name: (there.get(name), here.get(name)) for name in names}
    return "; ".join(
        f"{'.'.join([name, *path])} is {old!r} there and {new!r} here"
        for name, pair in pairs.items()
        for path, old, new in _differing(*pair)
    )


def _differing(old, new, path=()):
    """Yields the innermost entries of two values that differ, with paths."""
    if isinstance(old, dict) and isinstance(new, dict) and {*old} == {*new}:
        for name in old:
            yield from _differing(old[name], new[name], (*path, name))
    elif old != new:
        yield path, old, new


def versions(packages=()):
    """Returns the versions that a run depends on.

    Args:
        packages: Names of further packages; None is the version of one that is
            not installed, of which the run itself says more.
    """
    import keras_mtl

    return {
        "keras_mtl": keras_mtl.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        **{package: installed_version(package) for package in packages},
    }
