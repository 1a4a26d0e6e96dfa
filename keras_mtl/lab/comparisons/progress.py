"""Progress of a comparison on the terminal."""

from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)


class ComparisonProgress:
    """A bar for all runs, and one for each that is going on.

    Args:
        console: `rich.console.Console`.
        total: Integer, number of runs to make.
    """

    def __init__(self, console, total):
        self._progress = Progress(
            TextColumn("{task.description:<32}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[news]}"),
            console=console,
        )
        self._all = self._progress.add_task("runs", total=total, news="")

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(self, *error):
        self._progress.stop()

    @contextmanager
    def job(self, name):
        """Shows a run, and yields what is to be called each epoch."""
        bar = self._progress.add_task(name, total=None, news="")

        def on_epoch(told):
            self._progress.update(
                bar,
                completed=told["epoch"],
                total=told["epochs"],
                news=f"loss {told['loss']:.3g}",
            )

        try:
            yield on_epoch
        finally:
            self._progress.remove_task(bar)
            self._progress.advance(self._all)
