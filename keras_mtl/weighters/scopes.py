"""The scopes whose gradients a weighter may ask for."""

from collections.abc import Sequence

from keras_mtl.signals import SCOPES

# One of `SCOPES`, `"auto"`, the name of a layer, or several of them.
Scope = str | Sequence[str]


def checked_scope(scope):
    """Returns a scope: a string, or a tuple of layers' names."""
    if isinstance(scope, str):
        return scope
    names = tuple(scope) if isinstance(scope, list | tuple) else ()
    words = {"auto", *SCOPES}
    if not names or any(not isinstance(n, str) or n in words for n in names):
        raise ValueError(
            f"Argument `scope` must be one of {['auto', *SCOPES]}, the name of "
            "a layer or a list of names of layers. "
            f"Received: scope={scope!r}"
        )
    return names
