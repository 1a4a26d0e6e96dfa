"""Training pictures scaled and flipped, with what is known of their pixels."""

import tensorflow as tf

SCALES = (1.0, 1.2, 1.5)


def scaled_and_flipped(batch, seed):
    """Returns a batch of parts of the pictures, as large as the whole.

    Each picture is cut to 1 / s of its sides at random, s = 1, 1.2 or 1.5, and
    flipped with probability 1/2. What is nearer by s has 1 / s of the depth;
    the normals only turn with a flip, as in LibMTL.

    Args:
        batch: `(x, y, sample_weight)`: `x` `(B, H, W, 3)`, and dicts with any
            of `"segmentation"` `(B, H, W)`, `"depth"` `(B, H, W, 1)` and
            `"normals"` `(B, H, W, 3)`, and weights `(B, H, W)`.
        seed: `(2,)` int32 tensor, all that the draws depend on.

    Returns:
        A batch of the same shapes and types.
    """
    x, y, weights = batch
    number = tf.shape(x)[0]
    size = tf.shape(x)[1:3]
    seeds = tf.random.split(seed, 4)
    scale = tf.gather(
        tf.constant(SCALES),
        tf.random.stateless_uniform(
            [number], seeds[0], 0, len(SCALES), tf.int32
        ),
    )
    top, left = (
        tf.random.stateless_uniform([number], own) * (1.0 - 1.0 / scale)
        for own in (seeds[1], seeds[2])
    )
    flipped = tf.random.stateless_uniform([number], seeds[3]) < 0.5
    right = left + 1.0 / scale
    boxes = tf.stack(
        [
            top,
            tf.where(flipped, right, left),
            top + 1.0 / scale,
            tf.where(flipped, left, right),
        ],
        axis=1,
    )

    def cut(pixels, method="nearest"):
        flat = pixels.shape.rank == 3
        values = tf.cast(pixels[..., None] if flat else pixels, tf.float32)
        values = tf.image.crop_and_resize(
            values, boxes, tf.range(number), size, method
        )
        values = values[..., 0] if flat else values
        if pixels.dtype == tf.bool:
            return values > 0.5
        if pixels.dtype.is_integer:
            values = tf.round(values)
        return tf.ensure_shape(tf.cast(values, pixels.dtype), pixels.shape)

    y = {task: cut(labels) for task, labels in y.items()}
    if "depth" in y:
        y["depth"] /= scale[:, None, None, None]
    if "normals" in y:
        turned = tf.where(flipped, -1.0, 1.0)
        ones = tf.ones_like(turned)
        signs = tf.stack([turned, ones, ones], axis=-1)
        y["normals"] *= signs[:, None, None]
    weights = {task: cut(of) for task, of in weights.items()}
    return cut(x, "bilinear"), y, weights
