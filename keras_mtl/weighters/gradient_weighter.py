"""What weighters that read gradients have in common: a scope."""

from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.scopes import Scope, checked_scope


class GradientWeighter(Weighter):
    """A weighter that reads gradients of the variables in its scope.

    Example:

    >>> class InverseNorms(GradientWeighter):
    ...     def call(self, gradient_norms):
    ...         return 1.0 / (gradient_norms + 1e-8)
    >>> weighter = InverseNorms(scope="last_shared_layer")
    >>> weighter(gradient_norms=[1.0, 4.0])  # -> [1.0, 0.25]

    Args:
        scope: `"representation"`, `"last_shared_layer"`, `"shared"` or
            `"all"`, the tensors with respect to which gradients are taken.
            `"auto"` is the representation for shared inputs and `"shared"` for
            separate ones, whose representations have no rows in common. Or
            the name of a layer of the model, or a list of names: the trainable
            variables of these layers.

    Raises:
        ValueError: If the scope is neither a string nor a list of names. A
            name that is no layer of the model is refused before training.
    """

    default_scope = "shared"

    def __init__(self, scope: Scope | None = None, **kwargs):
        super().__init__(**kwargs)
        self.scope = checked_scope(scope or self.default_scope)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        names = self.scope
        scope = names if isinstance(names, str) else list(names)
        return {**super().get_config(), "scope": scope}
