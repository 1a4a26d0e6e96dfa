"""How a fuzzed call may end, and how many inputs it is given."""

import signal
from contextlib import contextmanager

from hypothesis import HealthCheck, settings

SECONDS = 60


def examples(count):
    """Returns Hypothesis' settings for so many inputs."""
    return settings(
        max_examples=count,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


@contextmanager
def clear_end(*kinds):
    """Allows success or an error of `kinds`; more than a minute is a hang."""

    def hang(*_):
        raise RuntimeError(f"no end after {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(SECONDS)
    try:
        yield
    except kinds:
        pass
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
