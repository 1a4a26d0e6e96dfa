"""The learning rate of each method, chosen on validation rows.

They are those of the first seed. Where a seed draws all sets anew, as on
topics, some of them are test rows of another seed.
"""

import math

from keras_mtl.checks import finite
from keras_mtl.lab.comparisons.cells import Cell
from keras_mtl.lab.runs.json_files import write_json

# Mao et al., 2022, appendix.
LEARNING_RATES = (1e-5, 2e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3)
RATES = "learning_rates.json"


class SearchCell(Cell):
    """A cell whose "sweep" is the learning rate of the experiment."""

    def settings(self, common) -> dict:
        """Returns the experiment's settings."""
        plain = Cell(self.method, self.seed)
        return {**plain.settings(common), **dict(self.sweep)}


def search_cells(methods) -> list[Cell]:
    """Returns a cell for each method and learning rate, of the first seed."""
    return [
        SearchCell(method, 0, (("learning_rate", rate),))
        for method in methods
        for rate in LEARNING_RATES
    ]


def chosen_rates(folder) -> dict[str, float]:
    """Returns the learning rates that were chosen by an earlier call.

    Args:
        folder: `ComparisonFolder` of the searched cells.

    Raises:
        ValueError: If the file that holds them is damaged.
    """
    if not (folder.path / RATES).exists():
        return {}
    rates = folder.read(RATES)
    return {method: finite(method, rate) for method, rate in rates.items()}


def choose_rates(folder, methods) -> dict[str, float]:
    """Returns the learning rate of each method with the best validation score.

    They are kept: all seeds of a method train with one rate, also where a run
    of the search that failed succeeds later.

    Args:
        folder: `ComparisonFolder` of the searched cells.
        methods: List of names of methods. One of which no run succeeded is
            left out.
    """
    rates = chosen_rates(folder)
    for method in [name for name in methods if name not in rates]:
        scores = {
            cell.sweep[0][1]: folder.metric(cell, "validation_score")
            for cell in search_cells([method])
        }
        known = {r: s for r, s in scores.items() if s is not None}
        if known:
            rates[method] = max(known, key=lambda r: (known[r], -math.log(r)))
    write_json(folder.path / RATES, rates)
    return rates
