"""The base class of weighters that solve for a point of least norm."""

import keras

from keras_mtl.checks import above, integer
from keras_mtl.solvers import min_norm_point
from keras_mtl.weighters.gradient_weighter import GradientWeighter


class MinNormWeighter(GradientWeighter):
    """A weighter that looks for the shortest convex combination of vectors.

    Args:
        max_iterations: Integer, at least 1, or `None` for a cap that grows
            with K. Frank-Wolfe steps per batch.
        tolerance: Float, above 0. Duality gap, as a fraction of the vectors'
            mean squared norm, at which the solver stops.
        scope: As in `GradientWeighter`.

    Attributes:
        solver_gap: Float32 scalar variable, the largest duality gap that the
            solver left since `fit` began its latest epoch.
        solver_iterations: Int32 scalar variable, the most steps that it took.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, max_iterations=None, tolerance=1e-6, scope=None, **kwargs
    ):
        super().__init__(scope=scope, **kwargs)
        if max_iterations is not None:
            max_iterations = integer("max_iterations", max_iterations, 1)
        self.max_iterations = max_iterations
        self.tolerance = above("tolerance", tolerance, 0.0)

    def add_solver_state(self):
        """Creates the gap and the number of steps, from `build`."""
        self.solver_gap = self.add_state("gap", ())
        self.solver_iterations = self.add_state("iterations", (), dtype="int32")

    def reset_solver_state(self):
        """Sets the gap and the number of steps to 0."""
        self.solver_gap.assign(0.0)
        self.solver_iterations.assign(0)

    def solve(self, gramian, present=None):
        """Returns the `(K,)` float32 weights of the point of least norm.

        Args:
            gramian: `(K, K)` float32 or float64, inner products of the vectors.
            present: `(K,)` float32, 0 for a vector to leave out, or `None`.
        """
        point = min_norm_point(
            gramian, self.max_iterations, self.tolerance, present
        )
        gap, iterations = self.solver_gap, self.solver_iterations
        gap.assign(keras.ops.maximum(gap, point.gap))
        iterations.assign(keras.ops.maximum(iterations, point.iterations))
        return point.weights

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "max_iterations": self.max_iterations,
            "tolerance": self.tolerance,
        }
        return {**super().get_config(), **own}
