"""The data of an experiment, and what its models are compared by."""

from typing import Any, NamedTuple


class Parts(NamedTuple):
    """The data of an experiment, `(x, y)` or `(x, y, sample_weight)` each.

    Example:

    >>> parts = Parts(train=(x, {"tone": y}), test=(x, {"tone": y}))
    >>> parts.validation is None
    True

    Attributes:
        train: Rows that train the model, query rows included.
        test: Rows that are looked at once, at the end.
        validation: Rows that choose the epoch, or None.
        facts: Dict of what is known of the data, for `metrics.json`.
        files: Dict from file name to text that belongs to the model.
        prepared: Whatever else `build` needs.
    """

    train: Any
    test: Any
    validation: Any = None
    facts: dict = {}
    files: dict = {}
    prepared: Any = None


class Score(NamedTuple):
    """What models of an experiment are compared by.

    Example:

    >>> Score("test_accuracy", "test accuracy", "%", 100.0).factor
    100.0

    Attributes:
        key: Name of the test metric in `metrics.json`; that of each task is
            there under `<key>_by_task`.
        label: The metric in words.
        unit: String, after `factor`.
        factor: Float, from the metric to the unit.
        higher_is_better: Boolean.
    """

    key: str
    label: str
    unit: str = ""
    factor: float = 1.0
    higher_is_better: bool = True

    @property
    def averaged(self) -> str:
        """The mean over the tasks in words."""
        known = self.label.startswith("average ")
        return self.label if known else f"average {self.label}"

    @property
    def axis(self) -> str:
        """The label of an axis."""
        return f"{self.label} ({self.unit or 'no unit'})"

    @property
    def difference_unit(self) -> str:
        """The unit of a difference."""
        return "percentage points" if self.unit == "%" else self.unit
