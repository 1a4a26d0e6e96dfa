"""
Title: When learned task weights pay
Author: keras_mtl authors
Date created: 2026/11/28
Last modified: 2026/11/28
Description: Scores against uniform weights where tasks differ, and the weights.
Accelerator: None
"""

"""
Tasks of newsgroups were made unlike: a half of them has few training rows, or
wrong labels, or both. This reads what `keras-mtl compare` left of the runs, and
draws the weights of the forms of `MetaWeighting`.
"""

import argparse
from pathlib import Path

from keras_mtl.lab.comparisons.report.reading import read_comparison
from keras_mtl.lab.comparisons.report.statistics import (
    paired_difference,
    t_interval,
)
from keras_mtl.lab.experiments.pictures import weights_figure
from keras_mtl.reporting import style

COMPARISON = "topics_noisy_few"
RESULTS = Path(__file__).resolve().parent / "results"

parser = argparse.ArgumentParser(description=__doc__.split("Title: ")[1])
parser.add_argument(
    "folders", nargs="*", default=[RESULTS / "topics_noisy_few"]
)
parser.add_argument("--out", default="weights.png")
parser.add_argument("--losses", default="losses.png")
parser.add_argument("--smoke", action="store_true")
arguments = parser.parse_args()

"""
## Scores

Paired differences to uniform weights on the same seeds, with 95 % t-intervals,
in percentage points of test accuracy.
"""


def groups(comparison):
    """Returns `{name: {seed: Result}}`, a group for each swept value."""
    found = {}
    for cell in comparison.cells:
        name = "@".join([cell.method, *(f"{v:g}" for v in cell.sweep.values())])
        found.setdefault(name, {})[cell.seed] = cell
    return found


for folder in arguments.folders:
    cells = groups(read_comparison(folder))
    uniform = {s: 100.0 * c.average for s, c in cells["uniform"].items()}
    print(f"\n{Path(folder).name}")
    for name, by_seed in cells.items():
        scores = {s: 100.0 * c.average for s, c in by_seed.items()}
        mean = t_interval(scores.values())
        difference = paired_difference(scores, uniform)
        validation = t_interval(
            100.0 * c.metrics["validation_score"] for c in by_seed.values()
        )
        by_task = [
            sum(c.by_task[t] for c in by_seed.values()) / len(by_seed)
            for t in next(iter(by_seed.values())).by_task
        ]
        print(
            f"| `{name}` | {len(scores)} | {validation.mean:.2f} | "
            + " | ".join(f"{100.0 * value:.1f}" for value in by_task)
            + f" | {mean.mean:.2f} ± {mean.half_width:.2f} | "
            f"{difference.mean:+.2f} ± {difference.half_width:.2f} |"
        )

"""
## Weights

Of the first seed. The tasks that were made harder are the first and the third.
"""

cells = groups(read_comparison(arguments.folders[0]))
shown = [by_seed[0] for name, by_seed in cells.items() if "@" in name]
figure = weights_figure(
    [cell.weight_steps for cell in shown],
    [cell.weights for cell in shown],
    list(shown[0].by_task),
    [f"{cell.method}\nseed {cell.seed}" for cell in shown],
)
figure.savefig(arguments.out, dpi=110)
print(f"Written to {arguments.out}")

"""
## Losses

On training and on validation rows, means over the seeds. The form through the
optimizer learns its weights from the latter: they are its query rows.
"""

tasks = list(shown[0].by_task)
figure, panels = style.panels(len(tasks), 4, 2.7, 2.6)
for panel, task in zip(panels, tasks, strict=True):
    for place, name in enumerate(("uniform", "meta_weighting_optimizer@1000")):
        for prefix, rows in (("", "training"), ("val_", "validation")):
            curves = [
                cell.history[f"{prefix}{task}_loss"]
                for cell in cells[name].values()
            ]
            mean = sum(curves) / len(curves)
            panel.plot(
                range(1, len(mean) + 1),
                mean,
                linestyle="-" if prefix else "--",
                color=style.COLOURS[place],
                label=f"{name.split('@')[0]}, {rows} rows",
            )
    panel.set_title(task)
    style.finish(panel)
style.label_bottom(panels, "epoch")
panels[0].set_ylabel("cross entropy (nats)")
style.legend_below(figure, panels[0], "", columns=2)
figure.savefig(arguments.losses, dpi=110)
print(f"Written to {arguments.losses}")
