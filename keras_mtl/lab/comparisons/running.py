"""Runs the cells of a comparison."""

import json
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from keras_mtl.lab.comparisons.folder import command_line
from keras_mtl.lab.comparisons.methods import SINGLE_TASK
from keras_mtl.lab.runs.json_files import read_object, write_json

# Of a traceback, the line that names the exception.
_ERROR = re.compile(r"[\w.]*(Error|Exception|Interrupt|Exit)(:|$)")
WORKER = (sys.executable, "-m", "keras_mtl.lab.comparisons.worker")


class Job:
    """The run of one cell. A subclass says how it is worked off.

    Args:
        folder: `ComparisonFolder`.
        cell: `Cell`.
        threads: Integer, of TensorFlow.
        at_a_time: Integer, jobs that share the machine.

    Attributes:
        name: String, which run of the comparison it is.
        command: String, what was typed to run it, or None.
        error: String, why it failed, or None.
        in_process: Boolean, whether it runs in this process: not beside
            others, and on the main thread, where Keras' settings are.
    """

    in_process = False

    def __init__(self, folder, cell, threads, at_a_time):
        self.folder, self.cell, self.name = folder, cell, cell.name
        self.command = self.error = None
        self._conditions = {"threads": threads, "jobs": at_a_time}
        self._stopped = False

    def run(self, on_epoch) -> bool:
        """Runs to the end, and writes the cell.

        Args:
            on_epoch: Function of a dict of `epoch`, `epochs` and `loss`.

        Returns:
            Whether the run succeeded.
        """
        log = self.folder.run_path(self.cell).with_suffix(".log")
        result, conditions = None, self._conditions
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            conditions = self._noted_conditions()
            result = self._work(log, on_epoch)
        # No memory for a process, for instance, or a file that is damaged.
        except (OSError, ValueError) as error:
            self.error = f"{type(error).__name__}: {error}"
        if self._stopped:
            return False
        own = {
            "status": "finished" if self.error is None else "failed",
            "error": self.error,
            "command": self.command,
            **conditions,
        }
        try:
            self.folder.write(self.cell, {**own, **(result or {})})
            self.folder.keep_picture(self.cell)
        except OSError as error:  # A full disk; the run itself is kept.
            self.error = f"{type(error).__name__}: {error}"
        return self.error is None

    def _noted_conditions(self):
        """Returns threads and jobs; None where they changed on the way.

        A run that goes on has times of an earlier call, too.
        """
        run = self.folder.run_path(self.cell)
        path = run.with_name(f"{run.name}.conditions.json")
        earlier = {}
        if run.exists() and path.exists():
            earlier = read_object(path, "Remove it.")
        now = {
            name: value if earlier.get(name, value) == value else None
            for name, value in self._conditions.items()
        }
        write_json(path, now)
        return now

    def _work(self, log, on_epoch):
        """Returns the result; sets `error` and returns None if it failed."""
        raise NotImplementedError

    def stop(self):
        """Asks the run to end, without a result."""
        self._stopped = True


class ExperimentJob(Job):
    """The run of a named experiment, in a process of its own.

    Args:
        folder: `ComparisonFolder`.
        cell: `Cell`.
        experiment: Class of the experiment.
        settings: Dict, the settings of the experiment.
        threads: Integer, of TensorFlow.
        at_a_time: Integer, jobs that share the machine.
        test: Boolean, whether to measure on the test rows at the end.
    """

    def __init__(
        self, folder, cell, experiment, settings, threads, at_a_time, test=True
    ):
        super().__init__(folder, cell, threads, at_a_time)
        self.name = cell.name if test else f"search/{cell.name}"
        self.command = command_line()
        self._order = {
            "experiment": experiment.name,
            "settings": settings,
            "single_task": cell.method == SINGLE_TASK,
            "threads": threads,
            "test": test,
            "out": str(folder.run_path(cell)),
        }
        self._process = None

    def _work(self, log, on_epoch):
        result = None
        with log.open("w", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                WORKER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
                # Of an interrupt only this process is to know; and no other
                # is to start on the folder while one of its runs goes on.
                start_new_session=True,
                pass_fds=[self.folder.lock.fileno()],
            )
            with self._process as process:
                if self._stopped:  # While it was being started.
                    process.terminate()
                    return None
                json.dump(self._order, process.stdin)
                process.stdin.close()
                for line in process.stdout or ():
                    told = _parsed(line)
                    result = told.pop("result", result)
                    if "epoch" in told:
                        on_epoch(told)
        if process.returncode != 0 or result is None:
            self.error = self._reason(log)
            return None
        return result

    def stop(self):
        """Ends the process; its latest checkpoint stays."""
        super().stop()
        if self._process is not None:
            self._process.terminate()

    def _reason(self, log):
        code = self._process.returncode
        lines = log.read_text("utf-8", "replace").strip().splitlines()
        # A message may go on below the line that a traceback ends with.
        errors = [line for line in lines if _ERROR.match(line)]
        errors = errors or [line for line in lines if line[:1].isalpha()]
        last = errors[-1] if errors else "it wrote no error"
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"{last} ({ended})"


def run_jobs(jobs, num_processes, progress) -> list[Job]:
    """Runs jobs, as many at a time as there are to be processes.

    Args:
        jobs: List of `Job`.
        num_processes: Integer.
        progress: `ComparisonProgress`.

    Returns:
        The jobs that failed.
    """
    stopped = threading.Event()

    def run(job):
        if stopped.is_set():
            return False
        with progress.job(job.cell.name) as on_epoch:
            return job.run(on_epoch)

    with ThreadPoolExecutor(num_processes) as pool:
        alone = all(job.in_process for job in jobs)
        try:
            succeeded = [*(map if alone else pool.map)(run, jobs)]
        except BaseException:
            stopped.set()
            for job in jobs:
                job.stop()
            raise
    return [j for j, good in zip(jobs, succeeded, strict=True) if not good]


def _parsed(line):
    try:
        told = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}
