"""Parts of tensors against gradients: what a part does not read has none."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.gradients.ancestry import Ancestry
from keras_mtl.gradients.slices import Part, overlap

# A function of x (4, 3, 2) and y (3, 2); whether parts of x are told apart.
FUNCTIONS = {
    "entries": (lambda x, y: tf.tanh(x * y + 1.0) / (2.0 + x**2), True),
    "softmax": (lambda x, y: tf.nn.softmax(x + y), True),
    "softmax of tasks": (lambda x, y: tf.nn.softmax(x + y, axis=1), False),
    "stack": (lambda x, y: tf.stack([x[:, 0], x[:, 2] * y[0]], 1), True),
    "concat": (lambda x, y: tf.concat([x[:, :1], x[:, 1:] * y[2]], 1), True),
    "concat across": (lambda x, y: tf.concat([x, x * y], 2), True),
    "split": (lambda x, y: tf.stack([*tf.split(x * y, 3, 1)][::-1], 1), True),
    "sizes": (lambda x, y: tf.split(x, [1, 2], 1)[1] + y[1:], True),
    "split across": (lambda x, y: tf.split(x * y, [1, 1], 2)[1], True),
    "unstack": (lambda x, y: tf.stack(tf.unstack(x * y, axis=1)[1:], 1), True),
    "reshape": (
        lambda x, y: tf.reshape(tf.reshape(x, [-1, 6]) * 2.0, [-1, 3, 2]) + y,
        True,
    ),
    "new axes": (
        lambda x, y: (x[..., None] * y[None, :, :, None])[..., 0],
        True,
    ),
    "expand": (lambda x, y: tf.squeeze(tf.expand_dims(x, 2), 2) * y, True),
    "transpose": (
        lambda x, y: tf.transpose(tf.transpose(x, [1, 0, 2]), [1, 0, 2]) + y,
        True,
    ),
    "sum": (lambda x, y: tf.reduce_sum(x * y, 2), True),
    "mean kept": (
        lambda x, y: tf.reduce_mean(x, [0, 2], keepdims=True) * y,
        True,
    ),
    "sum of tasks": (lambda x, y: x + tf.reduce_sum(y, 0), True),
    "einsum": (lambda x, y: tf.einsum("bku,kv->bkuv", x, y)[..., 0], True),
    "product": (lambda x, y: tf.matmul(x, y[:2]), True),
    "columns": (
        lambda x, y: tf.nn.bias_add(
            tf.matmul(x[:, :, 0], tf.reshape(y, [3, 2])), y[0]
        ),
        False,
    ),
    "negative": (lambda x, y: x[:, -2:] * y[-2:], True),
    "by twos": (lambda x, y: x[:, ::2] * y[::2], False),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_left_out_has_no_gradient(name):
    function, apart = FUNCTIONS[name]
    specs = [tf.TensorSpec([None, 3, 2]), tf.TensorSpec([3, 2])]
    graph = tf.function(function, autograph=False)
    graph = graph.get_concrete_function(*specs).graph
    names = {tensor.name: n for n, tensor in enumerate(graph.inputs)}
    (output,) = graph.outputs
    rng = np.random.default_rng(0)
    values = [
        tf.constant(rng.normal(size=s), tf.float32) for s in ((4, 3, 2), (3, 2))
    ]
    found = []
    for place in range(output.shape[1]):
        part = Part(1, place, place + 1)
        parts = Ancestry(names).of([output], (), part).parts
        with tf.GradientTape() as tape:
            tape.watch(values)
            mine = function(*values)[:, place]
            loss = tf.reduce_sum(mine * rng.normal(size=mine.shape))
        pulled = tape.gradient(loss, values, unconnected_gradients="zero")
        for number, gradient in enumerate(pulled):
            covered = np.zeros(gradient.shape, bool)
            for own in parts.get(number, ()):
                index = [slice(None)] * covered.ndim
                if own is not None:
                    index[own.axis] = slice(own.start, own.stop)
                covered[tuple(index)] = True
            assert not np.any(gradient.numpy()[~covered])
        found.append(parts)
    first, last = (parts.get(0, {None}) for parts in (found[0], found[-1]))
    assert any(overlap(a, b) for a in first for b in last) != apart
