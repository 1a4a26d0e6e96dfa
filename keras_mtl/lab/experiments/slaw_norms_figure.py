"""The picture of SLAW's estimates, and its caption."""

import numpy as np

from keras_mtl.lab.experiments.slaw_norms import WAYS, agreement, drawn
from keras_mtl.reporting.style import COLOURS, MARKERS, panels

PICTURE = "slaw_norms.png"


def caption(found) -> str:
    """Returns what the picture shows, in words.

    Args:
        found: `{way: [point, ...]}`, as `run_trials` returns it.
    """
    parts = []
    for way, points in found.items():
        told = agreement(points)
        parts.append(
            f"{WAYS[way]}, {len(points)} runs: rank correlation "
            f"{told['rank_correlation']:.3f}, correlation of the logarithms "
            f"{told['correlation']:.3f}, slope {told['slope']:.2f}"
        )
    first = next(iter(found.values()))
    steps = [point["steps"] for points in found.values() for point in points]
    return (
        f"One task, drawn at random, of each run of MTRegression with "
        f"{len(first[0]['true'])} tasks, after {min(steps)} to {max(steps)} "
        f"steps; {'; '.join(parts)}."
    )


def draw(found, path):
    """Draws a panel for each way, a mark for each task.

    Args:
        found: As in `caption`.
        path: Path of the picture.
    """
    figure, axes = panels(len(found), 2, 4.2, 3.9, sharex=True, sharey=True)
    for panel, (way, points) in zip(axes, found.items(), strict=True):
        pairs = drawn(points)
        tasks = np.array([point["task"] for point in points])
        for task in sorted({*tasks.tolist()}):
            panel.plot(
                *pairs[tasks == task].T,
                linestyle="",
                marker=MARKERS[task % len(MARKERS)],
                color=COLOURS[task % len(COLOURS)],
                markersize=5,
                label=f"task {task + 1}",
            )
        panel.axline(
            (1.0, 1.0), (2.0, 2.0), color="#888888", linewidth=1.0, zorder=0
        )
        panel.set_xscale("log", base=2)
        panel.set_yscale("log", base=2)
        told = agreement(points)
        panel.set_title(
            f"{WAYS[way]}\nrank correlation {told['rank_correlation']:.3f}, "
            f"slope {told['slope']:.2f}",
            fontsize=10,
        )
        panel.set_xlabel("weight of the true norms (equation 4)")
    axes[0].set_ylabel("weight of the estimates (equation 9)")
    handles = {}
    for panel in axes:
        for handle, name in zip(
            *panel.get_legend_handles_labels(), strict=True
        ):
            handles[name] = handle
    names = sorted(handles, key=lambda name: int(name.split()[1]))
    figure.legend(
        [handles[name] for name in names],
        names,
        loc="outside right center",
        frameon=False,
        fontsize=8,
    )
    figure.savefig(path, dpi=120)
