"""Reference values of other implementations, measured once.

`golden_methods.json` names each value's tool, version and call.
"""

import functools
import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "golden_methods.json"


@functools.cache
def golden(kind="losses", case="k3"):
    """Returns the inputs and `entries` of one case."""
    return json.loads(FILE.read_text())[kind][case]


def entry(method, tool, kind="losses", case="k3"):
    """Returns the values of a method as a tool computes it."""
    (found,) = [
        e
        for e in golden(kind, case)["entries"]
        if e["method"] == method and e["tool"].startswith(tool)
    ]
    return found


def golden_weights(method, tool, kind="losses", case="k3"):
    """Returns the weights, `(steps, K)` or `(K,)`, in float64."""
    return np.array(entry(method, tool, kind, case)["weights"])


def golden_losses():
    """Returns the losses `(steps, K)` and the epoch of each step."""
    case = golden()
    losses = np.array(case["losses"])
    return losses, np.arange(len(losses)) // case["steps_per_epoch"]
