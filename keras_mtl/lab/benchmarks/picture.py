"""Step time against the number of tasks, as a picture."""

from keras_mtl.reporting import style


def plot_step_times(path, results):
    """Draws each row's step time over the number of tasks.

    On the left in milliseconds, on the right relative to uniform weights, with
    bars from the lower to the upper quartile.

    Args:
        path: Path of the file to write; its ending says which format.
        results: List of `BenchmarkResult` of one workload, by number of tasks.

    Reference:
        - [Crawshaw and Kosecka, 2021](https://arxiv.org/abs/2109.08218),
            Figure 2
    """
    figure = style.new_figure(11, 5)
    absolute, relative = figure.subplots(1, 2)
    tasks = [result.num_tasks for result in results]
    for index, name in enumerate(row.name for row in results[0].rows):
        look = {
            "label": name,
            # Hollow: rows that cost the same lie on one another.
            **style.marked(index, len(tasks)),
        }
        rows = [result[name] for result in results]
        absolute.plot(tasks, [1e3 * row.step_seconds for row in rows], **look)
        medians, low, high = zip(*(row.ratio for row in rows), strict=True)
        away = (
            [m - q for m, q in zip(medians, low, strict=True)],
            [q - m for m, q in zip(medians, high, strict=True)],
        )
        relative.errorbar(tasks, medians, yerr=away, capsize=2, **look)
    absolute.set_ylabel("time of a training step (ms)")
    relative.set_ylabel("time of a training step / time with uniform")
    for panel in (absolute, relative):
        _finish(panel, tasks)
    result = results[0]
    figure.suptitle(
        f"{result.name}, batch {result.batch_size}: medians of "
        f"{result.repetitions} repetitions, bars show quartiles"
    )
    figure.legend(
        *absolute.get_legend_handles_labels(),
        loc="outside right center",
        frameon=False,
    )
    figure.savefig(path, dpi=150)


def _finish(panel, tasks):
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xticks(tasks, map(str, tasks))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.set_xlabel("number of tasks")
    style.finish(panel)
