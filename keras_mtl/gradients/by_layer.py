"""The tasks' gradients layer by layer, and updates combined by layer."""

import tensorflow as tf

from keras_mtl.gradients import roles
from keras_mtl.gradients.sizes import scope_layers
from keras_mtl.gradients.sums import weighted_sum


class GradientsByLayer:
    """What `TaskGradients` measures and combines of each layer by itself."""

    def gramians(self, scope):
        """Returns `{variable's path: (K, K)}`, the shares in `gramian`.

        Args:
            scope: String, whose gradients; not those of the representation.
        """
        variables = roles.scope_variables(self._model, scope)
        found = self._shares(scope, variables)
        return {v.path: found[id(v)] for v in variables}

    def gramian_by_layer(self, scope):
        """Returns the `(layers, K, K)` shares in `gramian` of each layer.

        Raises:
            ValueError: If the scope is the representation.
        """
        layers = scope_layers(self._model, scope)
        variables = [v for layer in layers for v in layer]
        found = self._shares(scope, variables)
        return tf.stack(
            [tf.add_n([found[id(v)] for v in layer]) for layer in layers]
        )

    def _shares(self, scope, variables):
        """Returns `{id(variable): (K, K)}` of the variables of a scope."""
        layerwise = self._split(scope).layerwise
        found = {}
        if layerwise:
            shares = tf.unstack(layerwise.shares(), len(layerwise.parts))
            keys = [id(part.variable) for part in layerwise.parts]
            found = dict(zip(keys, shares, strict=True))
        others = [v for v in variables if id(v) not in found]
        scopes = self._scopes(scope)
        self._passes.summed(others)  # In one sum over replicas.
        for v in others:
            found[id(v)] = self._passes.products([v], scopes=scopes)
        scale = self._scale * self._scale
        return {key: share / scale for key, share in found.items()}

    def _by_layer(self, weights, scope):
        """Returns `{id(variable): gradient}`, combined layer by layer.

        Of the variables that tasks share: each head has its task's gradient.

        Args:
            weights: `(layers, K)` float32.
            scope: String, whose gradients were measured.
        """
        coefficients = tf.unstack(self.loss_weights * weights)
        layers = scope_layers(self._model, scope)
        of_layer = {
            id(v): row
            for row, layer in zip(coefficients, layers, strict=True)
            for v in layer
        }
        layerwise = self._split(scope).layerwise
        found = {}
        if layerwise:
            mine = [of_layer[id(part.variable)] for part in layerwise.parts]
            found = layerwise.combined(mine)
        heads = {id(v) for v in roles.head_variables(self._model)}
        variables = [v for layer in layers for v in layer if id(v) not in heads]
        for v in variables:
            if id(v) not in found:
                pulled = self._passes.at_hand[id(v)]
                shares = tf.unstack(of_layer[id(v)])
                found[id(v)] = weighted_sum(pulled, shares)
        own = self._local.of_own(variables)
        return {
            id(v): weighted_sum([found[id(v)], extra])
            for v, extra in zip(variables, own, strict=True)
        }
