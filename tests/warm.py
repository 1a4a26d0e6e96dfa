"""Processes of Python, without the seconds that TensorFlow takes to load.

A server forks them that has loaded TensorFlow and Keras, not this package, and
computed nothing: they start in no time. What is to show how a user's process
starts takes `subprocess`.
"""

import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tensorflow", "keras"])


def run(*words, stdin=None):
    """Runs `python words` to its end, good or bad."""
    with Script(*words, stdin=stdin) as script:
        out = script.stdout.read()
        code, err = script.finish()
    return subprocess.CompletedProcess(words, code, out, err)


class Popen:
    """What this package and its tests use of `subprocess.Popen`.

    Args:
        words: List: Python's path, `-m` and a module, or `-c` and code, and
            arguments, which become strings.
        stdin: `None` for this process' own, `subprocess.PIPE`, or a file.
        stdout: As `stdin`.
        stderr: As `stdin`.
        env: Dict of variables, instead of this process' own.
        cwd: Path of the folder where it starts, or `None` for this one.
        start_new_session: Boolean.
        pass_fds: Files that the process holds open, by number.
        text: Boolean, what pipes are: always.
        encoding: String, of pipes: always UTF-8.
    """

    def __init__(
        self,
        words,
        stdin=None,
        stdout=None,
        stderr=None,
        env=None,
        cwd=None,
        start_new_session=False,
        pass_fds=(),
        text=True,
        encoding="utf-8",
    ):
        assert (text, encoding) == (True, "utf-8")
        python, how, what, *arguments = map(str, words)
        assert python == sys.executable
        assert how in ("-c", "-m")
        self.args = words
        self.stdin = self.stdout = self.stderr = None
        theirs = []
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            file = (stdin, stdout, stderr)[number]
            if file == subprocess.PIPE:
                reader, writer = os.pipe()
                own, other = (reader, writer) if number else (writer, reader)
                own = os.fdopen(own, "r" if number else "w", encoding="utf-8")
                setattr(self, name, own)
            else:
                other = os.dup(number if file is None else file.fileno())
            theirs.append(Connection(other))
        theirs += [Connection(os.dup(number)) for number in pass_fds]
        state = (
            str(cwd or os.getcwd()),
            dict(env or os.environ),
            start_new_session,
        )
        self._process = CONTEXT.Process(
            target=_main, args=(how, what, arguments, theirs, *state)
        )
        with contextlib.ExitStack() as stack:
            for connection in theirs:
                stack.enter_context(connection)
            self._process.start()
        self.pid = self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()
        self.wait()

    @property
    def returncode(self):
        """Integer, or None before the end was seen."""
        return self._process.exitcode

    def poll(self):
        """Returns the exit code, or None before the end."""
        return self._process.exitcode

    def wait(self, timeout=None):
        """Returns the exit code; raises if there is none in `timeout` s."""
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.poll()

    def send_signal(self, number):
        """Sends a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        """Sends SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self):
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Script(Popen):
    """A process whose output is read, until the end of a `with` block.

    Args:
        words: `-m` and a module, or `-c` and code; and its arguments.
        stdin: As for `Popen`.
        environment: Dict of variables to set.
    """

    def __init__(self, *words, stdin=None, environment=()):
        self._opened = contextlib.ExitStack()
        errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._errors = self._opened.enter_context(errors)
        super().__init__(
            [sys.executable, *words],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **dict(environment)},
        )

    def __exit__(self, *_):
        self.kill()
        super().__exit__()
        self._opened.close()

    def finish(self, seconds=None):
        """Waits for its end; returns its exit code and what it complained."""
        code = self.wait(seconds)
        self._errors.seek(0)
        return code, self._errors.read()


def _main(how, what, arguments, files, folder, environment, new_session):
    if new_session:
        os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number in range(3):
        os.dup2(files[number].fileno(), number)
        files[number].close()
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    sys.argv = [how, *arguments]
    if how == "-c":
        exec(what, {"__name__": "__main__"})
    else:
        runpy.run_module(what, run_name="__main__", alter_sys=True)
