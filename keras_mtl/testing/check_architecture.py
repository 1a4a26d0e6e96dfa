"""The conformance suite for architectures."""

from collections.abc import Callable, Mapping
from typing import Any

from keras_mtl.checks import one_of
from keras_mtl.testing import architecture_checks as checks
from keras_mtl.testing import architecture_runs as runs
from keras_mtl.testing.architecture_costs import check_cost
from keras_mtl.testing.architecture_trial import ArchitectureTrial
from keras_mtl.testing.replicas import two_replicas
from keras_mtl.testing.trial import ConformanceError

ARCHITECTURE_CHECKS = {
    check.__name__.removeprefix("check_"): check
    for check in (
        checks.check_declaration,
        checks.check_owners,
        checks.check_cut,
        checks.check_gradients,
        checks.check_update,
        checks.check_inputs,
        runs.check_permutation,
        checks.check_start,
        runs.check_saving,
        runs.check_precision,
        runs.check_replicas,
        runs.check_weighters,
        check_cost,
    )
}


def check_architecture(
    make: Callable,
    inputs: Any,
    *,
    task_names: tuple[str, ...] = ("a", "b", "a_b"),
    expert: Callable | None = None,
    skip: Mapping[str, str] | None = None,
) -> None:
    """Checks that an architecture keeps the contract of `TaskEncoder`.

    That is: which tasks each variable serves, that what tasks share lies below
    the cut, gradients in every scope against a backward pass per task, the
    update, inputs shared and separate, absent tasks, the order of tasks,
    initial values, saving, precision, replicas, each kind of signal, and how
    the graph grows with the tasks. The error lists every check that fails.
    Global random seeds are set. Replicas need TensorFlow as `two_replicas`
    does: they are left out where it has run before with one CPU device.

    Example:

    >>> expert = lambda: keras.layers.Dense(4, "tanh")
    >>> check_architecture(lambda tasks: MMoE(tasks, expert(), 2), x)

    Args:
        make: Function from a tuple of task names to a new `TaskEncoder`.
        inputs: Array or structure of arrays, at least 6 rows.
        task_names: Tuple of strings, the tasks to try; one name begins
            another by default.
        expert: Function that returns a layer, what one expert is alone, whose
            outputs experts in the cut, `(B, E, ..., U)`, are to be as large
            as; `None` not to compare.
        skip: Dict from the name of a check to the reason for leaving it out.

    Raises:
        ConformanceError: If a check fails. Its `checks` are their names.
        ValueError: If `skip` names no known check or gives no reason.
    """
    skip = dict(skip or {})
    for name, reason in skip.items():
        one_of("skip", name, ARCHITECTURE_CHECKS)
        if not (isinstance(reason, str) and reason.strip()):
            raise ValueError(
                "Argument `skip` must give the reason for leaving out "
                f"{name!r}. Received: skip={skip!r}"
            )
    if "replicas" not in skip:
        two_replicas()  # Which splits the CPU, before TensorFlow runs.
    trial = ArchitectureTrial(make, inputs, task_names, expert)
    failures = {}
    for name, check in ARCHITECTURE_CHECKS.items():
        if name in skip:
            continue
        try:
            check(trial)
        except Exception as error:
            reason = str(error)
            if not isinstance(error, ConformanceError):
                reason = f"it raised {type(error).__name__}: {reason}"
            failures[name] = f"check_{name} fails: {reason}"
            if name == "declaration":
                break
    if failures:
        raise ConformanceError("\n".join(failures.values()), tuple(failures))
