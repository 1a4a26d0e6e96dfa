"""Figure 2 of SLAW: time of a step, and score, against the number of tasks."""

from keras_mtl.lab.comparisons.report.figures.sweeps import (
    draw_intervals,
    swept_scores,
)
from keras_mtl.lab.comparisons.report.reading import read_comparison
from keras_mtl.lab.runs.json_files import read_object
from keras_mtl.reporting import style

PARAMETER = "num_tasks"
PICTURE = "slaw_tasks.png"


def draw(path, times=None, comparison=None):
    """Draws seconds of a step on the left, scores on the right.

    Args:
        path: Path of the picture.
        times: Path of what `keras-mtl bench --tasks ... --out` wrote, or None.
        comparison: Path of a folder of `keras-mtl compare --sweep
            num_tasks=...`, or None.

    Raises:
        ValueError: If both are missing, or one is something else.

    Reference:
        - [Crawshaw and Kosecka, 2021](https://arxiv.org/abs/2109.08218),
            Figure 2
    """
    sides = []
    if times is not None:
        label = "time of a training step (s)"
        sides.append((_draw_times, label, _times(times)))
    if comparison is not None:
        read = read_comparison(comparison)
        found = _scores(read, comparison)
        sides.append((_draw_scores, read.score.axis, found))
    if not sides:
        raise ValueError(
            "The figure slaw-tasks needs --times, --comparison, or both."
        )
    figure, panels = style.panels(len(sides), 2, 5.0, 4.0)
    # A method looks the same in both.
    names = dict.fromkeys(name for *_, found in sides for name in found)
    places = {name: place for place, name in enumerate(names)}
    for panel, (draw_side, label, found) in zip(panels, sides, strict=True):
        draw_side(panel, found, places)
        panel.set_ylabel(label)
        panel.set_xlabel("number of tasks")
        panel.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.12),
            ncols=3,
            frameon=False,
            fontsize=8,
        )
        style.finish(panel)
    figure.savefig(path, dpi=120)


def _times(path):
    """Returns `{row: {tasks: seconds}}`."""
    try:
        found = {}
        for result in read_object(path, "Pass what bench --out wrote.")[
            "results"
        ]:
            for row in result["rows"]:
                by_tasks = found.setdefault(row["name"], {})
                by_tasks[int(result["num_tasks"])] = float(row["step_seconds"])
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"'{path}' is not what 'keras-mtl bench --tasks 32,64 --out FILE' "
            f"writes: {type(error).__name__}: {error}"
        ) from error
    return found


def _scores(comparison, folder):
    found = swept_scores(comparison, PARAMETER)
    if not found:
        raise ValueError(
            f"'{folder}' has no runs with different numbers of tasks. Run "
            "'keras-mtl compare toxcast --sweep num_tasks=32,64' first."
        )
    return {name: found[name] for name in comparison.methods if name in found}


def _draw_times(panel, found, places):
    for name, by_tasks in found.items():
        panel.plot(
            *zip(*sorted(by_tasks.items()), strict=True),
            label=name,
            **style.marked(places[name], len(by_tasks)),
        )
    panel.set_xscale("log")
    panel.set_yscale("log")
    tasks = sorted({n for by_tasks in found.values() for n in by_tasks})
    panel.set_xticks(tasks, map(str, tasks))
    panel.set_xticks([], minor=True)


def _draw_scores(panel, found, places):
    for index, (name, by_tasks) in enumerate(found.items()):
        # Beside one another, so that no bar hides another.
        beside = [tasks + 1.2 * (index - len(found) / 2) for tasks in by_tasks]
        look = {"label": name, **style.marked(places[name], len(by_tasks))}
        draw_intervals(panel, beside, by_tasks.values(), look)
    tasks = sorted({n for by_tasks in found.values() for n in by_tasks})
    panel.set_xticks(tasks, [f"{n:g}" for n in tasks])
