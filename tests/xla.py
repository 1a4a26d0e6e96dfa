"""What XLA leaves out when it compiles for a test.

What it makes of a graph is as ever. Only the machine code of it, which runs
once or twice, is not made fast: LLVM's passes would take a fifth of the time of
tests that compile a step, and MLIR's emitters of fused loops another.
"""

import importlib.util
from pathlib import Path

ALWAYS = ("backend_optimization_level=0", "llvm_disable_expensive_passes")
WHERE_KNOWN = {"cpu_use_fusion_emitters": "false"}


def flags():
    """Returns the value of the environment variable `XLA_FLAGS`."""
    spec = importlib.util.find_spec("tensorflow")
    header = Path(spec.origin).parent / "include" / "xla" / "xla.pb.h"
    # XLA ends a process that gives it a flag which it does not know.
    known = header.read_text("utf-8") if header.exists() else ""
    there = [f"{k}={v}" for k, v in WHERE_KNOWN.items() if f"xla_{k}" in known]
    return " ".join(f"--xla_{flag}" for flag in (*ALWAYS, *there))
