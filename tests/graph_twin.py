"""The tasks' gradients of a functional graph, by a plain float64 tape."""

import keras
import numpy as np
import tensorflow as tf

from tests.graphs import layer_of


class Twin:
    """A float64 copy of a graph, and a backward pass for each task of it.

    Args:
        graph: `Graph`.
        source: The Keras model whose weights it takes.
    """

    def __init__(self, graph, source):
        previous = keras.config.dtype_policy()
        keras.config.set_dtype_policy("float64")
        inputs, self._outputs, taps = graph.make()
        keras.config.set_dtype_policy(previous)
        self._model = keras.Model(inputs, [self._outputs, taps])
        values = {v.path: v.numpy() for v in source.trainable_variables}
        for variable in self._model.trainable_variables:
            variable.assign(values[variable.path])
        self._graph = graph

    def gradients(self, x, y):
        """Returns losses, and for each task a dict of gradients.

        Gradients are flat, by a variable's path; at `"taps"`, `(B, D)`.
        """
        by_task = all(t in x for t in y) if isinstance(x, dict) else False
        losses, found = [], []
        variables = self._model.trainable_variables
        for task in self._outputs:
            mine = x[task] if by_task else x
            with tf.GradientTape() as tape:
                outputs, taps = self._model(mine, training=False)
                errors = (outputs[task] - y[task]) ** 2
                errors = tf.reduce_mean(errors, axis=-1)
                # Words that are not masked count.
                kept = mine != 0 if task == "token" else np.ones(errors.shape)
                kept = np.asarray(kept, "float64")
                loss = tf.reduce_sum(errors * kept) / np.sum(kept)
            pulled = tape.gradient(loss, [*taps, *(v.value for v in variables)])
            zeros = [*taps, *variables]
            pulled = [
                np.zeros(source.shape)
                if gradient is None
                else tf.convert_to_tensor(gradient).numpy()
                for source, gradient in zip(zeros, pulled, strict=True)
            ]
            rows = {
                v.path: np.ravel(g)
                for v, g in zip(variables, pulled[len(taps) :], strict=True)
            }
            tapped = [g.reshape(len(g), -1) for g in pulled[: len(taps)]]
            if tapped:
                rows["taps"] = np.concatenate(tapped, axis=1)
            losses.append(float(loss))
            found.append(rows)
        return np.array(losses), found

    def matrix(self, found, scope, variables):
        """Returns the `(K, P)` gradients over a scope's variables.

        Args:
            found: What `gradients` returned for the tasks.
            scope: String.
            variables: List of the scope's variables.
        """
        rows = []
        for task, last in zip(found, self._graph.last, strict=True):
            parts = []
            for variable in variables:
                layer, part = layer_of(variable), task[variable.path]
                away = scope == "last_shared_layer" and layer not in last
                parts.append(np.zeros_like(part) if away else part)
            rows.append(np.concatenate(parts))
        return np.stack(rows)
