"""Surface normals from depth, where a data set has none of its own."""

from typing import NamedTuple

import numpy as np

# Of a window: pixels to each side, and the Gaussian's deviation.
RADIUS = 4
SIGMA = 2.5
# Neighbours that far from a pixel's depth, as a share, are another surface's.
NEAR = 0.08
# And those that far from the plane through the first.
ON_PLANE = 0.02


class Camera(NamedTuple):
    """A pinhole camera without distortion, in pixels.

    Pixel `(u, v)`, column and row of its centre, at depth `z` is the point
    `((u - cx) z / fx, (v - cy) z / fy, z)`.
    """

    fx: float
    fy: float
    cx: float
    cy: float

    def scaled(self, horizontal, vertical):
        """Returns the camera of a picture that was resized by these factors."""
        return Camera(
            self.fx * horizontal,
            self.fy * vertical,
            (self.cx + 0.5) * horizontal - 0.5,
            (self.cy + 0.5) * vertical - 0.5,
        )


def derive_normals(depth, camera, step=0.0):
    """Returns the surface normals that a depth map implies.

    On a plane `1 / z` is linear in the pixel's coordinates. A plane is fitted
    to the window around each pixel, less the neighbours across an edge, first
    by their depth, then by their distance to the first plane.

    Example:

    >>> camera = Camera(4.0, 4.0, 3.5, 3.5)
    >>> wall = np.full((8, 8), 2.0)  # Two metres away, straight ahead.
    >>> normals, valid = derive_normals(wall, camera)
    >>> normals[4, 4]
    [0.0, 0.0, -1.0]

    Args:
        depth: `(H, W)` array, metres, all above 0.
        camera: `Camera` of pictures of this size.
        step: Float, metres between two depths that can be told apart; 0 where
            depth is not rounded.

    Returns:
        `(normals, valid)`. `(H, W, 3)` float32 unit vectors towards the
        camera, x to the right, y down, z away from it; 0 where not valid.
        `(H, W)` booleans, whether more than half of the window took part.

    Raises:
        ValueError: If depth is missing somewhere.
    """
    depth = np.asarray(depth, "float32")
    if not np.all(depth > 0.0):
        raise ValueError(
            "Argument `depth` must be above 0 everywhere, in metres. Received: "
            f"values from {depth.min():g}"
        )
    height, width = depth.shape
    z = _windows(depth)
    here = depth.reshape(-1, 1)
    inside = z > 0.0
    # Small numbers: float32 will do.
    inverse = 1.0 / np.where(inside, z, here) - 1.0 / here
    # An error of the depth is one of 1 / z that is z ** 2 times smaller.
    weights = _WINDOW * z * z / (here * here)
    near = inside & (np.abs(z - here) < np.maximum(NEAR * here, 2.5 * step))
    plane = _fit(weights * near, inverse)
    predicted = plane @ _AT.T + 1.0 / here
    with np.errstate(divide="ignore"):
        off = np.abs(z - 1.0 / predicted)
    taken = inside & (off <= np.maximum(ON_PLANE * here, step))
    plane = _fit(weights * taken, inverse)
    a, b = plane[:, 1], plane[:, 2]
    c = plane[:, 0] + 1.0 / here[:, 0]
    v, u = np.divmod(np.arange(depth.size), width)
    normals = np.stack(
        [
            a * camera.fx,
            b * camera.fy,
            c - a * (u - camera.cx) - b * (v - camera.cy),
        ],
        axis=-1,
    )
    # This normal's product with the point is 1, so that it points away.
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    valid = taken.sum(axis=1) > 0.5 * len(_AT)
    valid &= np.isfinite(length[:, 0]) & (length[:, 0] > 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        normals = np.where(valid[:, None], -normals / length, 0.0)
    shape = (height, width)
    return normals.reshape(*shape, 3).astype("float32"), valid.reshape(shape)


def _windows(depth):
    """Returns `(H * W, N)` depths around each pixel, 0 outside the picture."""
    padded = np.pad(depth, RADIUS)
    size = 2 * RADIUS + 1
    views = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return np.ascontiguousarray(views).reshape(depth.size, size * size)


def _fit(weights, values):
    """Returns `(n, 3)`: level and slopes of the weighted planes."""
    sums = (weights @ _PRODUCTS).astype("float64")
    one, u, v, uu, uv, vv = sums.T
    matrix = np.stack([one, u, v, u, uu, uv, v, uv, vv], axis=-1)
    matrix = matrix.reshape(-1, 3, 3)
    right = ((weights * values) @ _AT).astype("float64")
    flat = np.linalg.det(matrix) < 1e-9
    # Too few neighbours for a plane: such a pixel is not valid anyway.
    matrix[flat] = np.eye(3)
    right[flat] = 0.0
    found = np.linalg.solve(matrix, right[..., None])[..., 0]
    return found.astype("float32")


def _offsets():
    side = np.arange(-RADIUS, RADIUS + 1, dtype="float32")
    v, u = (axis.reshape(-1) for axis in np.meshgrid(side, side, indexing="ij"))
    return np.stack([np.ones_like(u), u, v], axis=1)


_AT = _offsets()
_PRODUCTS = np.stack(
    [_AT[:, i] * _AT[:, j] for i, j in ((0, 0), (0, 1), (0, 2))]
    + [_AT[:, i] * _AT[:, j] for i, j in ((1, 1), (1, 2), (2, 2))],
    axis=1,
)
_WINDOW = np.exp(-0.5 * np.sum(_AT[:, 1:] ** 2, axis=1) / SIGMA**2)
