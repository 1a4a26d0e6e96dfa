"""Reading the tasks' gradients: which tasks conflict, and where."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_mtl.checks import need, one_of
from keras_mtl.gradients import roles
from keras_mtl.gradients.conflicts import GradientMeter, cosines
from keras_mtl.weighters.scopes import Scope, checked_scope


@dataclass(frozen=True)
class TaskGradientReport:
    """The tasks' gradients on one batch, by their inner products.

    Args:
        task_names: Tuple of K strings.
        scope: String, or tuple of layers' names: whose gradients.
        losses: `(K,)` float32 array, mean losses; the loss weights of `compile`
            count neither here nor in gradients.
        gramian: `(K, K)` float32 array, inner products of the gradients.
        layers: Dict from a layer's path to its `(K, K)` share of `gramian`;
            empty unless asked for.
    """

    task_names: tuple[str, ...]
    scope: str | tuple[str, ...]
    losses: np.ndarray
    gramian: np.ndarray
    layers: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def norms(self) -> np.ndarray:
        """`(K,)` norms of the gradients."""
        return np.sqrt(np.maximum(np.diag(self.gramian), 0.0))

    @property
    def cosines(self) -> np.ndarray:
        """`(K, K)` cosines; NaN where a task has no gradient."""
        return cosines(self.gramian)

    @property
    def layer_cosines(self) -> dict[str, np.ndarray]:
        """The cosines of each layer."""
        return {name: cosines(gram) for name, gram in self.layers.items()}

    def plot(self, path):
        """Draws the cosines as a heat map, one for each layer if there are any.

        Needs matplotlib (extra `report`).

        Args:
            path: String or path of the picture, such as `"cosines.png"`.
        """
        need("plot()", ("matplotlib",), "report")
        from keras_mtl.reporting.heat_map import heat_maps

        maps = {f"all of scope {self.scope!r}": self.cosines}
        heat_maps(path, {**maps, **self.layer_cosines}, self.task_names)


def task_gradients(
    model: keras.Model,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    scope: Scope = "shared",
    by: str = "scope",
):
    """Measures on one batch how the tasks' gradients agree or conflict.

    As in inference, dropout is off, and no state changes.

    Example:

    >>> report = keras_mtl.task_gradients(model, x[:256], y_256, by="layer")
    >>> report.cosines  # (K, K); below 0, two tasks conflict
    >>> report.plot("cosines.png")

    Args:
        model: A compiled `MultiTaskModel`, built or called before.
        x: Inputs, as `fit` takes them.
        y: Labels, as `fit` takes them.
        sample_weight: Weights, as `fit` takes them.
        scope: String, whose gradients: `"representation"`,
            `"last_shared_layer"`, `"shared"` or `"all"`; or the name of a
            layer, or a list of names.
        by: `"scope"`, or `"layer"` for the share of each layer, too.

    Returns:
        `TaskGradientReport`.

    Raises:
        ValueError: If the model is not ready, the batch does not match its
            tasks, or an argument is not known.
    """
    scope = checked_scope(scope)
    one_of("by", by, ("scope", "layer"))
    if not (getattr(model, "compiled", False) and model.built):
        raise ValueError(
            "task_gradients() needs a model that is compiled and built. Call "
            "model.compile(...), and fit() or the model itself on a batch."
        )
    if by == "layer" and scope == "representation":
        raise ValueError(
            "Layers have no share of gradients at the representation. Pass "
            "scope='shared'. Received: by='layer', scope='representation'"
        )
    if scope != "representation":
        roles.task_scopes(model, scope)  # Raises on a name of no layer.
    data = (x, y) if sample_weight is None else (x, y, sample_weight)
    meter = GradientMeter(model, data, scope, by == "layer")
    losses, gramian, layers = meter()
    return TaskGradientReport(
        tuple(model.task_names), scope, losses, gramian, layers
    )
