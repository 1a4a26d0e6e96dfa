"""Puts one fault at a time into a copy of the package, and runs quick tests.

    python -m tests.mutants [words of names ...]

Exit code 1 if more than one in twenty is not noticed.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.mutants.mutations import PACKAGE, ROOT, mutants

COPIED = (PACKAGE, "tests", "docs", "examples", "pyproject.toml", "README.md")
SHARE = 0.95
PASSED, FAILED = 0, 1


def copied(folder):
    """Copies what the tests read to a folder."""
    ignored = shutil.ignore_patterns("__pycache__", "results")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)


def run(folder, tests, report):
    """Runs tests in a child of this process, which has what they import.

    Returns:
        pytest's exit code, and the processor seconds that it took.
    """
    started = os.times()
    child = os.fork()
    if child == 0:
        with open(report, "w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os._exit(_run_here(folder, tests))
    _, status = os.waitpid(child, 0)
    ended = os.times()
    seconds = ended.children_user - started.children_user
    seconds += ended.children_system - started.children_system
    return os.waitstatus_to_exitcode(status), seconds


def _run_here(folder, tests):
    import pytest

    os.chdir(folder)
    for name in [
        n for n in sys.modules if n.split(".")[0] in (PACKAGE, "tests")
    ]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    quick = ["-m", "not slow and not soak", "-x", "-q"]
    code = int(pytest.main([*quick, "-p", "no:cacheprovider", *tests]))
    sys.stdout.flush()
    import keras_mtl

    assert Path(keras_mtl.__file__).is_relative_to(folder)
    return code


def main(words):
    """Returns the exit code."""
    import keras  # noqa: F401  with TensorFlow, once for all mutants

    chosen = [m for m in mutants() if any(w in m.name for w in words or [""])]
    survived, seconds = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        copied(folder)
        report = folder / "report"
        tests = dict.fromkeys(t for m in chosen for t in m.tests)
        if run(folder, [*tests], report)[0] != PASSED:
            print("The tests fail without a fault:", report.read_text()[-2000:])
            return FAILED
        for mutant in chosen:
            path = folder / PACKAGE / mutant.file
            whole = path.read_text()
            path.write_text(mutant.applied(folder))
            code, used = run(folder, mutant.tests, report)
            path.write_text(whole)
            seconds += used
            if code == PASSED:
                survived.append(mutant)
            said = {PASSED: "SURVIVED", FAILED: "noticed"}.get(code, "BROKEN")
            print(f"{said:9}{used:6.1f} s  {mutant.name}", flush=True)
            if code not in (PASSED, FAILED):
                print(report.read_text()[-2000:])
                return code
    noticed = len(chosen) - len(survived)
    print(
        f"{noticed} of {len(chosen)} noticed, {seconds:.0f} processor seconds"
    )
    return int(noticed < SHARE * len(chosen))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main(sys.argv[1:]))
