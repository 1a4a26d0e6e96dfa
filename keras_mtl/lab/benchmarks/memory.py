"""Peak memory of a row, in a process of its own.

`python -m keras_mtl.lab.benchmarks.memory` reads a row from standard input,
takes a few steps and prints its peak in bytes.
"""

import importlib
import io
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from keras_mtl.lab.benchmarks.rows import Blueprint, PlainKerasRow, WeighterRow

STEPS = 4
ROWS = {cls.__name__: cls for cls in (WeighterRow, PlainKerasRow)}


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
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=_packed(make, threads),
            capture_output=True,
            check=True,
        )
    except TypeError as error:
        raise ValueError(_refusal(error)) from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode().strip().splitlines()[-1:]
        raise ValueError(_refusal(*last)) from error
    return int(done.stdout.split()[-1])


def main():
    """Measures the row on standard input."""
    import tensorflow as tf

    make, (intra_op, inter_op), modules = _unpacked(sys.stdin.buffer.read())
    tf.config.threading.set_intra_op_parallelism_threads(intra_op)
    tf.config.threading.set_inter_op_parallelism_threads(inter_op)
    for module in modules:
        importlib.import_module(module)
    make().run(STEPS)
    print(_peak())


def _packed(make, threads):
    """Returns bytes of a NumPy archive: the arrays of a row, and JSON."""
    blueprint = make.blueprint
    arrays = keras.tree.flatten(blueprint.batch)
    numbers = keras.tree.pack_sequence_as(
        blueprint.batch, [*range(len(arrays))]
    )
    cls = blueprint.model_class
    job = {
        "row": type(make).__name__,
        "class": [cls.__module__, cls.__qualname__],
        "config": blueprint.config,
        "compile_config": blueprint.compile_config,
        "method": make.method,
        "threads": threads,
        "modules": _modules(make),
        "batch": numbers,
    }
    text = json.dumps(keras.saving.serialize_keras_object(job))
    buffer = io.BytesIO()
    np.savez(buffer, *arrays, job=np.frombuffer(text.encode(), "uint8"))
    return buffer.getvalue()


def _unpacked(content):
    """Returns the row, the threads, and the modules to import."""
    stored = np.load(io.BytesIO(content), allow_pickle=False)
    job = json.loads(stored["job"].tobytes())
    module, name = job["class"]
    blueprint = Blueprint(
        getattr(importlib.import_module(module), name),
        job["config"],
        job["compile_config"],
        _filled(job["batch"], stored),
    )
    make = ROWS[job["row"]](blueprint, job["method"])
    return make, job["threads"], job["modules"]


def _filled(numbers, stored):
    """Returns the structure with arrays in the place of their numbers."""
    if isinstance(numbers, dict):
        return {k: _filled(part, stored) for k, part in numbers.items()}
    if isinstance(numbers, list):  # JSON's word for a tuple.
        return tuple(_filled(part, stored) for part in numbers)
    return stored[f"arr_{numbers}"]


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
