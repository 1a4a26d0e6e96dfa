"""What a weighter declares that it measures."""

from typing import NamedTuple


class Declaration(NamedTuple):
    """The signals of a weighter.

    Args:
        signals: Set of names.
        gradients: The same, those that are made of gradients.
        scope: String, whose gradients, or `None`.
        reads_query: Boolean, whether it reads a query batch.
    """

    signals: frozenset[str]
    gradients: frozenset[str]
    scope: str | None
    reads_query: bool


def declaration(weighter, separate=False) -> Declaration:
    """Returns the signals of a weighter.

    Args:
        weighter: `Weighter`.
        separate: Boolean, whether each task has inputs of its own.
    """
    signals = frozenset((*weighter.needs, *weighter.observes))
    scope = getattr(weighter, "scope", None)
    if scope == "auto":
        scope = "shared" if separate else "representation"
    return Declaration(
        signals,
        signals & {"gramian", "gradient_norms", "query_support_gramian"},
        scope,
        any(name.startswith("query") for name in signals),
    )
