"""The folder of a comparison: what it compares, and a file for each cell."""

import fcntl
import json
import os
import shlex
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

from keras_mtl.checks import finite
from keras_mtl.lab.runs.folder import PICTURE, difference
from keras_mtl.lab.runs.json_files import read_object, write_json

COMPARE, CELLS, RUNS = "compare.json", "cells", "runs"
PICTURES = "pictures"


class ComparisonFolder:
    """The files of one comparison.

    `compare.json` says what is compared; `cells/` has a small file for every
    run that is over, and `pictures/` what it drew; `runs/` what runs leave,
    and the checkpoints of those that are not over.

    Args:
        path: String, the folder; it may not exist yet.

    Attributes:
        path: `Path`.
        lock: The open file that keeps others out, inside `opened`.
    """

    def __init__(self, path):
        self.path = Path(path)

    @contextmanager
    def opened(self, plan):
        """Writes what is compared, and keeps others from running it too.

        Args:
            plan: Dict for `compare.json`. Methods, seeds and sweeps add to
                those that are there.

        Raises:
            ValueError: If the folder holds another comparison, or another
                process is at work in it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._check_ours()
            lock = (self.path / ".lock").open("a")
        except OSError as error:
            raise ValueError(
                f"The output folder '{self.path}' is not writable: "
                f"{error.strerror}. Pass another `out`."
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ValueError(
                    f"Another comparison is running in '{self.path}'. Wait "
                    "for it, or pass another --out."
                ) from error
            write_json(self.path / COMPARE, self._joined(plan))
            self.lock = lock
            yield self

    def _check_ours(self):
        # Left by a kill before anything was written, or just being written.
        early = {".lock", f"{COMPARE}.partial"}
        found = sorted({path.name for path in self.path.iterdir()} - early)
        if found and COMPARE not in found:
            raise ValueError(
                f"The folder '{self.path}' is not empty and holds no "
                f"comparison. Found: {found[:5]}. Pass another `out`."
            )

    def _joined(self, plan):
        plan = json.loads(json.dumps(plan))
        if not (self.path / COMPARE).exists():
            return plan
        there = read_object(self.path / COMPARE, "Pass another `out`.")
        try:
            differs = difference(_same(there), _same(plan))
            joined = {**plan, **_union(there, plan)}
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                f"'{self.path / COMPARE}' does not describe a comparison: "
                f"{type(error).__name__}: {error}. Pass another `out`."
            ) from error
        if differs:
            raise ValueError(
                f"The folder '{self.path}' holds another comparison: "
                f"{differs}. Pass another `out`."
            )
        return joined

    def read(self, name):
        """Returns the content of a JSON file of the folder."""
        return read_object(self.path / name, "Remove it to run it again.")

    def part(self, name):
        """Returns a folder within that the same process keeps."""
        part = ComparisonFolder(self.path / name)
        part.lock = self.lock
        return part

    def cell_path(self, cell):
        """Returns the path of a cell's file."""
        return self.path / CELLS / f"{cell.name}.json"

    def run_path(self, cell):
        """Returns the folder of what a cell's run leaves."""
        return self.path / RUNS / cell.name

    def keep_picture(self, cell):
        """Copies the picture of a cell's run, if it drew one."""
        drawn = self.run_path(cell) / PICTURE
        if drawn.exists():
            kept = self.path / PICTURES / f"{cell.name}.png"
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(drawn, kept)

    def read_cell(self, cell):
        """Returns the content of a cell's file, or None."""
        path = self.cell_path(cell)
        return self.read(path.relative_to(self.path)) if path.exists() else None

    def finished(self, cell) -> bool:
        """Whether a cell has run to its end."""
        return (self.read_cell(cell) or {}).get("status") == "finished"

    def check_config(self, cell, config):
        """Raises if a finished cell was run with other settings.

        Args:
            cell: `Cell`.
            config: Dict, `Experiment.config()`.

        Raises:
            ValueError: That says how they differ.
        """
        content = self.read_cell(cell) or {}
        there, here = content.get("config"), json.loads(json.dumps(config))
        finished = content.get("status") == "finished"
        if finished and there is not None and there != here:
            known = there if isinstance(there, dict) else {}
            raise ValueError(
                f"'{self.cell_path(cell)}' is the result of other settings: "
                f"{difference(known, here)}. Remove it to run it again."
            )

    def metric(self, cell, name) -> float | None:
        """Returns a metric of a cell, or None where there is none.

        Raises:
            ValueError: If the file is not that of a cell.
        """
        if not self.finished(cell):
            return None
        try:
            value = (self.read_cell(cell) or {})["metrics"][name]
            return value if value is None else finite(name, value)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"'{self.cell_path(cell)}' does not hold the results of a run: "
                f"{type(error).__name__}: {error}. Remove it to run it again."
            ) from error

    def fail(self, cell, error) -> str:
        """Writes of a cell that it failed, and returns the error."""
        self.write(cell, {"status": "failed", "error": error})
        return error

    def write(self, cell, content):
        """Writes a cell's file."""
        path = self.cell_path(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        own = {
            "method": cell.method,
            "seed": cell.seed,
            "sweep": dict(cell.sweep),
        }
        # A number on each line would make three times as much to commit.
        write_json(path, {**own, **content}, indent=None)


def _union(there, plan):
    """Returns what adds up: methods, cells, seeds and sweeps of both."""
    sweeps = {
        name: sorted({*there["sweeps"].get(name, ()), *values})
        for name, values in {**there["sweeps"], **plan["sweeps"]}.items()
    }
    both = {
        name: [*dict.fromkeys([*there[name], *plan[name]])]
        for name in ("methods", "cells")
    }
    seeds = max(there["seeds"], plan["seeds"])
    before, now = there["plain_values"], plan["plain_values"]
    plain = {
        name: {**before.get(name, {}), **now.get(name, {})}
        for name in {**before, **now}
    }
    return {**both, "seeds": seeds, "sweeps": sweeps, "plain_values": plain}


def command_line() -> str:
    """Returns the command that was typed, without folders of this machine."""
    words = ["keras-mtl"]
    for word in sys.argv[1:]:
        option, equals, value = word.partition("=")
        if equals and option.startswith("--"):
            words.append(f"{option}={_without_folders(value)}")
        else:
            words.append(_without_folders(word))
    return shlex.join(words)


def _without_folders(word):
    """Returns a path's last part, also within JSON; other words as they are."""
    try:
        content = json.loads(word)
    except json.JSONDecodeError:
        content = None
    if isinstance(content, dict):
        own = {
            name: _without_folders(value) if isinstance(value, str) else value
            for name, value in content.items()
        }
        return json.dumps(own)
    return Path(word).resolve().name if os.path.exists(word) else word


def _same(plan):
    """Returns what makes the cells of one folder comparable."""
    own = {name: plan.get(name) for name in ("experiment", "search")}
    return {**own, **plan["settings"]}
