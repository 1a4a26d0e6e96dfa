"""What the files of a comparison may hold, so that it can be drawn."""

import math

import numpy as np

# Floats of a run are float32; pictures need squares of them.
LARGEST = float(np.finfo("float32").max)


def text(value) -> str:
    """Returns a string, or raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"expected a string, received {value!r:.60}")
    return value


def texts(values) -> tuple[str, ...]:
    """Returns the strings of a list, or raises TypeError."""
    if not isinstance(values, list):
        raise TypeError(f"expected a list, received {values!r:.60}")
    return tuple(text(value) for value in values)


def mapping(value) -> dict:
    """Returns a dict, or raises TypeError."""
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, received {value!r:.60}")
    return value


def number(value) -> float:
    """Returns a number within float32, NaN for null, or raises TypeError."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number, received {value!r:.60}")
    if abs(value) > LARGEST:
        raise TypeError("expected a number within float32")
    return float(value)


def finite(value) -> float:
    """Returns a number other than null, or raises TypeError."""
    found = number(value)
    if not math.isfinite(found):
        raise TypeError(f"expected a finite number, received {value!r}")
    return found


def count(value, largest=10_000) -> int:
    """Returns an integer from 0 to `largest`, or raises TypeError."""
    found = finite(value)
    if not found.is_integer() or not 0 <= found <= largest:
        raise TypeError(f"expected 0 to {largest}, received {value!r:.60}")
    return int(value)


def numbers(values) -> np.ndarray:
    """Returns a `(n,)` float64 array of a list, or raises TypeError."""
    if not isinstance(values, list):
        raise TypeError(f"expected a list, received {values!r:.60}")
    return np.array([number(value) for value in values], "float64")


def losses(content, tasks):
    """Returns losses as `compare` writes them, or raises.

    Args:
        content: Dict of `epochs`, `num_query` and losses by set of rows,
            kind and task, or `None`.
        tasks: Tuple of strings.
    """
    if content is None:
        return None
    epochs = [count(epoch) for epoch in content["epochs"]]
    rows = mapping(content.get("num_query") or {})
    given = {
        name: {
            kind: {task: numbers(by_task[task]).tolist() for task in tasks}
            for kind, by_task in mapping(content[name]).items()
        }
        for name in ("training", "query", "test")
    }
    if not epochs:
        return None
    num_query = {task: count(rows[task], 10**12) for task in rows}
    return {**given, "epochs": epochs, "num_query": num_query}
