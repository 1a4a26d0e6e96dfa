"""What a cell keeps of a finished run: little enough to be committed."""

import numpy as np

from keras_mtl.lab.runs.folder import METRICS, RunFolder

# Points of a curve of weights.
NUM_POINTS = 200


def summary(experiment, out) -> dict:
    """Returns the results of a finished run.

    Args:
        experiment: `Experiment`.
        out: String, the folder of its run.

    Raises:
        ValueError: If the files are not those of a finished run.
    """
    folder = RunFolder(out, experiment.config(), resume=True)
    try:
        return _summary(folder)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(
            f"The results in '{out}' are not those of a run: "
            f"{type(error).__name__}: {error}. Remove the folder to run it "
            "again."
        ) from error


def _summary(folder):
    history = folder.read("history.json")
    steps = np.load(folder.path / "weights.npy", allow_pickle=False)
    metrics = folder.read(METRICS)
    tasks = [name.removesuffix("_weight") for name in history]
    tasks = [t for t in tasks if f"{t}_weight" in history]
    return {
        "config": folder.config,
        "versions": folder.read("versions.json"),
        "num_parameters": metrics["num_parameters"],
        "metrics": metrics,
        "history": _rounded(
            {n: v for n, v in history.items() if not _diagnostic(n)}
        ),
        "weights": _thinned(steps),
        "conflicts": _conflicts(history),
        "losses": _losses(history, tasks),
    }


def _diagnostic(name):
    return "_rows_" in name or name in ("mean_cosine", "negative_share")


def _thinned(steps):
    rows = np.unique(np.linspace(0, len(steps) - 1, NUM_POINTS).astype(int))
    return {
        "steps": (rows + 1).tolist(),
        "values": _rounded(steps[rows].tolist()),
    }


def _conflicts(history):
    cosines = history.get("mean_cosine")
    if cosines is None or all(cosine is None for cosine in cosines):
        return None
    return {
        "epochs": [*range(1, len(cosines) + 1)],
        "mean_cosine": _rounded(cosines),
        "negative_share": _rounded(history["negative_share"]),
    }


def _losses(history, tasks):
    """Returns losses on training, query and test rows, where measured."""
    kinds = ("loss", "error")
    first = history.get(f"query_rows_{tasks[0]}_loss")
    if first is None:
        return None
    measured = [i for i, value in enumerate(first) if value is not None]
    values = {
        name: {
            kind: {
                task: _rounded(
                    [history[f"{name}_rows_{task}_{kind}"][i] for i in measured]
                )
                for task in tasks
            }
            for kind in kinds
        }
        for name in ("training", "query", "test")
    }
    counts = {t: int(history[f"query_rows_{t}_count"][0]) for t in tasks}
    epochs = [i + 1 for i in measured]
    return {"epochs": epochs, **values, "num_query": counts}


def _rounded(values):
    """Returns floats of a nested structure with five digits."""
    if isinstance(values, dict):
        return {name: _rounded(value) for name, value in values.items()}
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return float(f"{values:.5g}") if isinstance(values, float) else values
