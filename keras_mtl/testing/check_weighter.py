"""The conformance suite for weighters."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from keras_mtl.checks import one_of
from keras_mtl.testing import (
    absence_checks,
    contract_checks,
    execution_checks,
    numeric_checks,
    storage_checks,
)
from keras_mtl.testing.trial import ConformanceError


class _Check(NamedTuple):
    """A check, and whether it depends on the number of tasks.

    Args:
        function: Function of a weighter factory and the number of tasks.
        once: Boolean. Whether one number of tasks is enough.
    """

    function: Callable
    once: bool = False


_CHECKS = {
    check.function.__name__.removeprefix("check_"): check
    for check in (
        _Check(contract_checks.check_declaration, once=True),
        _Check(contract_checks.check_results),
        _Check(contract_checks.check_arrays, once=True),
        _Check(contract_checks.check_present_optional, once=True),
        _Check(numeric_checks.check_finite),
        _Check(numeric_checks.check_non_finite, once=True),
        _Check(numeric_checks.check_permutation),
        _Check(numeric_checks.check_mixed_float16, once=True),
        _Check(absence_checks.check_absent_task),
        _Check(absence_checks.check_all_tasks_absent, once=True),
        _Check(absence_checks.check_absent_gradient),
        _Check(storage_checks.check_config, once=True),
        _Check(storage_checks.check_saving, once=True),
        _Check(execution_checks.check_graph),
        _Check(execution_checks.check_no_retrace, once=True),
        _Check(execution_checks.check_xla, once=True),
        _Check(execution_checks.check_two_replicas, once=True),
    )
}


def check_weighter(
    weighter: Any,
    *,
    skip: Mapping[str, str] | None = None,
    num_tasks: tuple[int, ...] = (1, 2, 3, 10),
) -> None:
    """Checks that a weighter keeps the contract of `Weighter`.

    The error lists every check that fails. The weighter is
    driven by made-up values of the signals that it asks for. Global random
    seeds are set.

    Example:

    >>> check_weighter(MGDA)
    >>> check_weighter(
    ...     lambda: Constant([2.0, 1.0, 1.0]),
    ...     num_tasks=(3,),
    ...     skip={"permutation": "one argument for each task"},
    ... )

    Args:
        weighter: Subclass of `Weighter`, or function without arguments that
            returns a new instance.
        skip: Dict from the name of a check to the reason for leaving it out.
        num_tasks: Tuple of integers, the numbers of tasks to try. Checks
            that do not depend on it take one of them.

    Raises:
        ConformanceError: If a check fails. Its `checks` are their names.
        ValueError: If `skip` names no known check or gives no reason.
    """
    skip = _checked_skip(skip)
    failures = {}
    for name, run in weighter_checks():
        if name in skip:
            continue
        try:
            run(weighter, num_tasks=num_tasks)
        except ConformanceError as error:
            failures[name] = str(error)
            if name == "declaration":
                break
    if failures:
        raise ConformanceError("\n".join(failures.values()), tuple(failures))


def weighter_checks() -> Iterator[tuple[str, Callable]]:
    """Yields every check, so that a test runner can show each by its name.

    Example:

    >>> @pytest.mark.parametrize(("name", "check"), weighter_checks())
    ... def test_mine(name, check):
    ...     check(MyWeighter)

    Yields:
        Tuple of the check's name and a function, which takes the weighter and
        optionally `num_tasks` as `check_weighter` does, and raises a
        `ConformanceError`.
    """
    for name in _CHECKS:
        yield name, functools.partial(_run, name)


def _run(name, weighter, num_tasks=(1, 2, 3, 10)):
    check = _CHECKS[name]
    made = weighter if isinstance(weighter, type) else type(weighter())
    if check.once:
        num_tasks = (3,) if 3 in num_tasks else num_tasks[-1:]
    for size in num_tasks:
        try:
            check.function(weighter, size)
        except Exception as error:
            reason = str(error)
            if not isinstance(error, ConformanceError):
                reason = f"it raised {type(error).__name__}: {reason}"
            raise ConformanceError(
                f"{made.__name__} fails check_{name} with {size} "
                f"{'task' if size == 1 else 'tasks'}: {reason}",
                (name,),
            ) from error


def _checked_skip(skip):
    skip = dict(skip or {})
    for name, reason in skip.items():
        one_of("skip", name, _CHECKS)
        if not (isinstance(reason, str) and reason.strip()):
            raise ValueError(
                f"Argument `skip` must give the reason for leaving out "
                f"{name!r}. Received: skip={skip!r}"
            )
    return skip
