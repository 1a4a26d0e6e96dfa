"""Modules run as scripts, each in a process of its own.

A server forks them that has loaded TensorFlow and this package, and computed
nothing: they start in no time. What is to show how a user's process starts
takes `subprocess`.
"""

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tensorflow", "keras", "keras_mtl"])
OUT, ERR = 1, 2


def run(module, *arguments):
    """Runs `python -m module arguments` to its end, good or bad."""
    with Script(module, *arguments) as script:
        out = script.stdout.read()
        code, err = script.finish()
    return subprocess.CompletedProcess([module, *arguments], code, out, err)


class Script:
    """A module that runs as a script, until the end of a `with` block.

    Attributes:
        stdout: What it prints, a file to read.

    Args:
        module: String, its name.
        arguments: Its arguments, which become strings.
        environment: Dict of variables to set.
    """

    def __init__(self, module, *arguments, environment=()):
        words = [str(argument) for argument in arguments]
        self._opened = contextlib.ExitStack()
        number, path = tempfile.mkstemp()
        self._opened.callback(os.unlink, path)
        self._stderr = self._opened.enter_context(
            os.fdopen(number, errors="replace")
        )
        reader, writer = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(
            target=_main,
            args=(module, words, dict(environment), writer, path),
        )
        with reader, writer:
            self._process.start()
            self.stdout = self._opened.enter_context(
                os.fdopen(os.dup(reader.fileno()), errors="replace")
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self._process.join()
        self._process.close()
        self._opened.close()

    def kill(self):
        """Sends SIGKILL."""
        self._process.kill()

    def finish(self, seconds=None):
        """Waits for its end; returns its exit code and what it complained."""
        self._process.join(seconds)
        code = self._process.exitcode
        assert code is not None, f"It goes on after {seconds} seconds."
        return code, self._stderr.read()


def _main(module, words, environment, stdout, stderr):
    os.environ.update(environment)
    os.dup2(stdout.fileno(), OUT)
    os.dup2(os.open(stderr, os.O_WRONLY), ERR)
    sys.stdout = os.fdopen(OUT, "w", closefd=False)
    sys.stderr = os.fdopen(ERR, "w", buffering=1, closefd=False)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
