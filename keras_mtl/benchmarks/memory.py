"""Peak memory of a row, in a process of its own.

`python -m keras_mtl.benchmarks.memory` reads a row from standard input, takes
a few steps and prints its peak in bytes.
"""

import importlib
import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

STEPS = 4


def peak_memory(make) -> int:
    """Returns the bytes that a fresh process needs at most to train a row.

    These include Python and its libraries; rows differ by what they need.

    Args:
        make: `WeighterRow` or `PlainKerasRow`.

    Raises:
        ValueError: If the other process cannot make or train the row.
    """
    import tensorflow as tf

    threading = tf.config.threading
    threads = (
        threading.get_intra_op_parallelism_threads(),
        threading.get_inter_op_parallelism_threads(),
    )
    try:
        row = pickle.dumps(make)
        modules = _modules(make)
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=pickle.dumps((threads, modules, row)),
            capture_output=True,
            check=True,
        )
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(_refusal(error)) from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode().strip().splitlines()[-1:]
        raise ValueError(_refusal(*last)) from error
    return int(done.stdout.split()[-1])


def main():
    """Measures the row on standard input."""
    import tensorflow as tf

    threads, modules, row = pickle.load(sys.stdin.buffer)
    intra_op, inter_op = threads
    tf.config.threading.set_intra_op_parallelism_threads(intra_op)
    tf.config.threading.set_inter_op_parallelism_threads(inter_op)
    for module in modules:
        importlib.import_module(module)
    pickle.loads(row)().run(STEPS)
    print(_peak())


def _modules(make):
    """Returns the modules whose import registers the row's classes."""
    found = set()

    def walk(part):
        if isinstance(part, Mapping):
            if part.get("registered_name") and part.get("module"):
                found.add(part["module"])
            part = part.values()
        elif not isinstance(part, list | tuple):
            return
        for child in part:
            walk(child)

    blueprint = make.blueprint
    walk((blueprint.config, blueprint.compile_config, make.method))
    return sorted(found)


def _peak():
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
    # On Linux, `ru_maxrss` starts from the size of the parent process.
    (line,) = (t for t in status.splitlines() if t.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def _refusal(reason="it ended without a message"):
    return (
        "Memory is measured in another process, which failed: "
        f"{reason}. It must be able to import the model's own classes: define "
        "them in a module, not in a script or notebook. Or leave memory out."
    )


if __name__ == "__main__":
    main()
