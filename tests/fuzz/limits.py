"""How a fuzzed call may end, and how many inputs it is given."""

import signal
from contextlib import contextmanager

from hypothesis import (
    HealthCheck,
    currently_in_test_context,
    event,
    settings,
)

SECONDS = 60


def examples(count):
    """Returns Hypothesis' settings for so many inputs."""
    return settings(
        max_examples=count,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


class Hang(BaseException):
    """Which no code mistakes for an error of its own."""


@contextmanager
def clear_end(*kinds):
    """Allows success or an error of `kinds`, within a minute of processor."""

    def hang(*_):
        raise Hang(f"no end after {SECONDS} seconds")

    before = signal.signal(signal.SIGPROF, hang)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    end = "no error"
    try:
        yield
    except kinds as error:
        end = type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    # Shown by `pytest --hypothesis-show-statistics`.
    (event if currently_in_test_context() else print)(f"end: {end}")
