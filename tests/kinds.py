"""The kinds of weighters that a training step tells apart.

What holds for a kind is tested on its first weighter in the catalogue. What
depends on the class, its formula, its state and its treatment of absent tasks,
is tested on every class by the conformance suite.
"""

from keras_mtl import weighters


def _kind(weighter):
    weighter.bind(3, ("a", "b", "c"))
    return (
        weighter.needs,
        weighter.observes,
        weighter.scales_heads,
        getattr(weighter, "scope", None),
        bool(weighter.trainable_variables),
        any("int" in v.dtype for v in weighter.non_trainable_variables),
    )


# A step knows these for any weighter.
ALWAYS_THERE = {"losses", "present", "epoch", "learning_rate"}


def measured_alike(name):
    """Returns what is the same for weighters that differ in their formula."""
    weighter = weighters.get(name)
    weighter.bind(3, ("a", "b", "c"))
    return (
        frozenset({*weighter.needs, *weighter.observes} - ALWAYS_THERE),
        getattr(weighter, "scope", None),
        weighter.scales_heads,
        bool(weighter.trainable_variables),
    )


def _first_of_each():
    kinds = {}
    for name in weighters.CATALOGUE:
        kinds.setdefault(_kind(weighters.get(name)), name)
    return tuple(kinds.values())


KINDS = _first_of_each()
