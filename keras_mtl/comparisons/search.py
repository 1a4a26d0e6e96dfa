"""The learning rate of each method, chosen on validation rows."""

import math

from keras_mtl.comparisons.cells import Cell

# Mao et al., 2022, appendix.
LEARNING_RATES = (1e-5, 2e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3)


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


def best_rates(folder, methods) -> dict[str, float]:
    """Returns the learning rate of each method with the best validation score.

    Args:
        folder: `ComparisonFolder` of the searched cells.
        methods: List of names of methods.

    Raises:
        ValueError: If no run of a method succeeded.
    """
    rates = {}
    for method in methods:
        scores = {
            cell.sweep[0][1]: folder.metric(cell, "validation_score")
            for cell in search_cells([method])
        }
        known = {r: s for r, s in scores.items() if s is not None}
        if not known:
            raise ValueError(
                f"No run of {method!r} in the search of a learning rate "
                f"succeeded. The reasons are in '{folder.path}'."
            )
        rates[method] = max(known, key=lambda r: (known[r], -math.log(r)))
    return rates
