"""Weighters around other weighters."""

import inspect

import tensorflow as tf

from keras_mtl.combination import Combination, as_if
from keras_mtl.weighters.base import Weighter


class Wrapper(Weighter):
    """A weighter that changes the weights of another one.

    What it asks for, whose gradients, whether heads are scaled, the state and
    the attributes are those of the inner weighter, of which the wrapper keeps
    no copy. A subclass defines `adapt`, and where it reads a signal itself
    names it in `own_needs`.

    What an optimizer trains in the inner weighter, it trains as if that stood
    alone.

    Example:

    >>> class Doubled(Wrapper):
    ...     def adapt(self, weights, signals):
    ...         return 2.0 * weights
    >>> Doubled("uniform")(losses=[0.3, 0.4])  # -> [2.0, 2.0]

    Args:
        weighter: `Weighter`, its name, or a config dict.

    Raises:
        ValueError: If the weighter has more than one weight for each task.
    """

    own_needs = ()

    def __init__(self, weighter: Weighter | str | dict, **kwargs):
        super().__init__(**kwargs)
        # The catalogue imports every weighter.
        from keras_mtl.weighters import get

        self.weighter = get(weighter)
        if self.weighter.weighs_finely:
            raise self._too_fine()

    def __getattr__(self, name):
        """Returns an attribute that only the inner weighter has."""
        inner = self.__dict__.get("weighter")
        if inner is None or name.startswith("_"):
            raise AttributeError(
                f"{type(self).__name__!r} has no attribute {name!r}"
            )
        return getattr(inner, name)

    @property
    def needs(self):
        """Names of the signals to pass to `call`."""
        return tuple(dict.fromkeys((*self.weighter.needs, *self.own_needs)))

    @property
    def observes(self):
        """Names of the signals to pass to `observe`."""
        return self.weighter.observes

    @property
    def scales_heads(self):
        """Whether a task's weight scales its head's gradient too."""
        return self.weighter.scales_heads

    @property
    def weighs_heads(self):
        """Whether heads have weights of their own."""
        return self.weighter.weighs_heads

    def inside(self):
        """Yields the weighters inside, from the outermost on."""
        inner = self.weighter
        while isinstance(inner, Wrapper):
            yield inner
            inner = inner.weighter
        yield inner

    @property
    def due(self):
        """Whether the next step is to measure signals, or `None`: always."""
        return self.weighter.due

    def hold(self) -> Combination:
        """Returns the weights of a step that measures nothing."""
        weights = self.changed(self.weighter.hold(), {})
        self.task_weights.assign(weights.shared)
        return weights

    def bind(self, num_tasks, task_names=None, sizes=None):
        """Creates the state of both for `num_tasks` tasks."""
        self.weighter.bind(num_tasks, task_names, sizes)
        super().bind(num_tasks, task_names, sizes)

    def adapt(self, weights, signals):
        """Returns other weights for those of the inner weighter.

        Args:
            weights: `(K,)` float32.
            signals: Dict of the signals by name; empty in a step that measures
                nothing.

        Returns:
            `(K,)` float32.
        """
        raise NotImplementedError

    def changed(self, weights, signals) -> Combination:
        """Returns the weights, adapted; those of heads stay as they are."""
        return weights._replace(shared=self.adapt(weights.shared, signals))

    def translated(self, signals) -> dict:
        """Returns the signals as the inner weighter is to see them."""
        return signals

    def inner_weights(self, signals) -> Combination:
        """Returns the inner weighter's own weights for the signals."""
        known = self.weighter.signature(type(self.weighter).call).parameters
        signals = self.translated(signals)
        weights = self.weighter.weigh(
            **{n: s for n, s in signals.items() if n in known}
        )
        if any(finer is not None for finer in weights[2:]):
            raise self._too_fine()  # By an author who did not say so.
        return weights

    def _too_fine(self):
        name, inner = type(self).__name__, type(self.weighter).__name__
        return ValueError(
            f"{name} changes one weight for each task, and {inner} has more. "
            f"Use {inner} without {name}, or choose another weighter."
        )

    def call(self, **signals):
        """Returns the inner weighter's weights, changed."""
        inner = self.inner_weights(signals)
        shared, heads = self.changed(inner, signals)[:2]
        shared = as_if(inner.shared, shared)
        return shared if heads is None else (shared, heads)

    def observe(self, **signals):
        """Lets the inner weighter learn; the next call returns its weights."""
        self.weighter.observe(**signals)
        return tf.convert_to_tensor(self.task_weights)

    def signature(self, method):
        """Returns the inner weighter's signature, and what else is read."""
        name = method.__name__
        inner = self.weighter.signature(getattr(type(self.weighter), name))
        own = self.own_needs if name == "call" else ()
        more = [
            inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None)
            for n in own
            if n not in inner.parameters
        ]
        return inner.replace(parameters=[*inner.parameters.values(), *more])

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        from keras_mtl.weighters import serialize

        return {**super().get_config(), "weighter": serialize(self.weighter)}


def same_heads(wrapper):
    """Raises if the heads of the inner weighter have weights of their own."""
    if not wrapper.weighter.weighs_heads:
        return
    # The innermost: what is around it only passes them on.
    owner = [w for w in wrapper.inside() if w.weighs_heads][-1]
    name, other = type(wrapper).__name__, type(owner).__name__
    remedy = "Choose another weighter."
    if isinstance(owner, Wrapper) and name != other:
        remedy = f"Put it inside: {other}({name}(...))."
    elif name == other:
        remedy = f"Use one {name} only."
    raise ValueError(
        f"{name} cannot go around {other}, whose heads have weights of "
        f"their own that {name} would not change. {remedy}"
    )
