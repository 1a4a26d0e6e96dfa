"""The cells of a comparison: a method, a seed, and what a sweep sets."""

from typing import NamedTuple

from keras_mtl.checks import finite
from keras_mtl.lab.comparisons.methods import SINGLE_TASK, method_of, takes

# What can be swept besides arguments of weighters.
SETTINGS = ("query_split", "num_tasks")


class Cell(NamedTuple):
    """One run of a comparison.

    Attributes:
        method: Name of a method.
        seed: Integer.
        sweep: Tuple of `(parameter, value)`, empty outside a sweep.
    """

    method: str
    seed: int
    sweep: tuple = ()

    @property
    def group(self) -> str:
        """The folder of its runs over seeds."""
        return "@".join([self.method, *(f"{n}={v:g}" for n, v in self.sweep)])

    @property
    def name(self) -> str:
        """Its path below a folder of cells."""
        return f"{self.group}/seed_{self.seed}"

    def settings(self, common) -> dict:
        """Returns the experiment's settings.

        Args:
            common: Dict, the settings that all cells share.
        """
        method = method_of(self.method)
        settings = {
            **common,
            **method.settings,
            "weighter": method.weighter,
            "seed": self.seed,
        }
        if method.arguments:
            settings["weighter_arguments"] = {
                **settings.get("weighter_arguments", {}),
                **method.arguments,
            }
        for name, value in self.sweep:
            if name in SETTINGS:
                settings[name] = value
            else:
                arguments = settings.get("weighter_arguments", {})
                settings["weighter_arguments"] = {**arguments, name: value}
        return settings


def plan(methods, seeds, sweeps, plain) -> list[Cell]:
    """Returns the cells, one seed after the other.

    Args:
        methods: List of names of methods.
        seeds: Integer, number of seeds, from 0 on.
        sweeps: Dict from parameter to list of values. A method that takes the
            parameter runs with each value besides its own.
        plain: Dict, as `plain_values` returns it.
    """
    variants = [(method, ()) for method in methods]
    variants += [
        (method, ((parameter, value),))
        for parameter, values in sweeps.items()
        for method in methods
        if parameter in plain.get(method, {})
        for value in values
        if value != plain[method][parameter]
    ]
    return [
        Cell(method, seed, sweep)
        for seed in range(seeds)
        for method, sweep in variants
    ]


def plain_values(sweeps, methods, experiment_of) -> dict[str, dict]:
    """Returns the values that swept parameters have outside the sweep.

    Args:
        sweeps: Dict from parameter to list of values.
        methods: List of names of methods.
        experiment_of: Function from a `Cell` to its `Experiment`.

    Returns:
        `{method: {parameter: value}}`, of the parameters that the method takes;
        None where the value is no number.
    """
    values = {}
    for method in methods:
        experiment = experiment_of(Cell(method, 0))
        arguments = experiment.make_weighter().get_config()
        settings = {name: getattr(experiment, name, None) for name in SETTINGS}
        known = {**arguments, **settings}
        own = {
            parameter: _number(known[parameter])
            for parameter in sweeps
            if method != SINGLE_TASK
            and takes(method, parameter, type(experiment))
        }
        if own:
            values[method] = own
    return values


def _number(value):
    return float(value) if isinstance(value, int | float) else None


def parse_sweeps(texts, methods, experiment) -> dict[str, list[float]]:
    """Returns the sweeps that `name=value,value` describe.

    Args:
        texts: List of strings.
        methods: List of names of methods.
        experiment: Class of an experiment.

    Raises:
        ValueError: If a text is not of that form, or no method takes the
            parameter.
    """
    sweeps = {}
    for text in texts:
        name, _, values = text.partition("=")
        if not name or not values:
            raise ValueError(
                "A sweep must be a parameter and its values, as in "
                f"query_split=0.05,0.1. Received: {text!r}"
            )
        found = {finite(name, value) for value in values.split(",")}
        sweeps[name] = sorted(found.union(sweeps.get(name, ())))
        names = {f"{value:g}" for value in sweeps[name]}
        if len(names) < len(sweeps[name]):
            raise ValueError(
                "Values of a sweep must differ in their first six digits. "
                f"Received: {text!r}"
            )
        if not any(takes(method, name, experiment) for method in methods):
            raise ValueError(
                f"None of the methods {list(methods)} takes {name!r}. Name a "
                "parameter of a weighter, query_split, or, where an "
                "experiment has it, num_tasks."
            )
    return sweeps
