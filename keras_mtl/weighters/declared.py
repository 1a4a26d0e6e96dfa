"""Which signals a weighter asks for: the parameters of its methods."""

import inspect

from keras_mtl.checks import did_you_mean
from keras_mtl.signals import known_signals


def parameters(method) -> dict:
    """Returns the signals among the parameters of a method, by name.

    Args:
        method: Function, or its `inspect.Signature`.
    """
    if not isinstance(method, inspect.Signature):
        method = inspect.signature(method)
    return {
        name: parameter
        for name, parameter in method.parameters.items()
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    }


def measured(method) -> tuple[str, ...]:
    """Returns the signals that the training step passes to a method."""
    return tuple(
        name
        for name, parameter in parameters(method).items()
        if parameter.default is parameter.empty or name == "present"
    )


def check_signals(cls, method_name):
    """Raises if `call` or `observe` of a class asks for an unknown signal.

    Raises:
        TypeError: With the nearest known name.
    """
    known = known_signals(method_name)
    for name in parameters(getattr(cls, method_name)):
        if name not in known:
            raise TypeError(
                f"{cls.__name__}.{method_name}() asks for the unknown signal "
                f"{name!r}. Known signals: {', '.join(known)}."
                f"{did_you_mean(name, known)}"
            )
