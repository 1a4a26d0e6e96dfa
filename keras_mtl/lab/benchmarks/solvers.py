"""What weights cost once the Gramian is known, without a model."""

import functools

import numpy as np
import tensorflow as tf

from keras_mtl import weighters as catalogue
from keras_mtl.lab.benchmarks import timing
from keras_mtl.lab.benchmarks.residuals import residual
from keras_mtl.lab.benchmarks.solver_report import SolverTime, SolverTimes
from keras_mtl.solvers import min_norm_point

BASELINE = "min_norm_point"
# What a call costs by itself, of a compiled function that copies.
NOTHING = "a call"
NUM_PROBLEMS = 16


def time_solvers(
    num_tasks,
    weighters=None,
    repetitions=20,
    block_seconds=0.05,
    clock="wall",
    residuals=False,
    peers=None,
    progress=lambda message: None,
) -> SolverTimes:
    """Times the weighters that ask for the Gramian alone.

    Args:
        num_tasks: Integer, K.
        weighters: List of names; by default all that ask for nothing else.
        repetitions: Integer, timed repetitions.
        block_seconds: Float. About how long `min_norm_point`'s block lasts.
        clock: Key of `timing.CLOCKS`.
        residuals: Boolean. Whether to tell how exact the weights are; needs
            SciPy.
        peers: Dict from label to `(name, make)`: which weighter does the same,
            and a function from `(n, K, P)` gradients to a `SolverRunner`.
        progress: Function of a string.

    Returns:
        `SolverTimes`.
    """
    gradients = random_gradients(num_tasks)
    problems = (gradients @ np.swapaxes(gradients, 1, 2)).astype("float32")
    names = _on_gramians(weighters)
    makers: dict = {BASELINE: (None, _BaselineRow(problems))}
    makers |= {name: (name, _WeighterRow(name, problems)) for name in names}
    for label, (name, make) in (peers or {}).items():
        if name in names:
            makers[label] = name, functools.partial(make, gradients)
    makers[NOTHING] = None, _NothingRow(problems)
    rows = []
    for label, (_, make) in makers.items():
        progress(f"K = {num_tasks}, {label}: first call")
        rows.append(timing.first_step(label, make))
    steps = timing.steps_per_block(rows, block_seconds, clock)
    times = timing.block_times(rows, steps, repetitions, clock, progress)
    return SolverTimes(
        num_tasks,
        clock,
        repetitions,
        [
            SolverTime(
                row.name,
                makers[row.name][0],
                timing.spread(times[:, index] / times[:, 0]),
                float(np.median(times[:, index])),
                row.first_step_seconds,
                residual(method, gradients, row.runner.weights())
                if residuals and (method := makers[row.name][0])
                else None,
            )
            for index, row in enumerate(rows)
        ],
    )


def random_gradients(num_tasks) -> np.ndarray:
    """Returns `(NUM_PROBLEMS, K, 2 K)` random gradients.

    Half of the pairs conflict, and norms differ by a factor of ten and more.
    """
    rng = np.random.default_rng(num_tasks)
    rows = rng.normal(size=(NUM_PROBLEMS, num_tasks, 2 * num_tasks))
    return rows * np.exp(rng.normal(size=(NUM_PROBLEMS, num_tasks, 1)))


def _on_gramians(names):
    """Returns those of the names whose weighter asks for the Gramian alone."""
    found = []
    for name in names or catalogue.CATALOGUE:
        weighter = catalogue.get(name)
        asked = set(weighter.needs) - {"present"}
        if asked == {"gramian"} and not weighter.observes:
            found.append(name)
        elif names:
            raise ValueError(
                "--solvers times weighters that ask for the Gramian alone; "
                f"{name!r} asks for {sorted(asked)}. Leave it out."
            )
    return found


class SolverRunner:
    """Calls a function for one problem after the other.

    Args:
        solve: Function of a problem.
        problems: List.
        weights_of: Function of what `solve` returns and the problem; by
            default that itself.
    """

    def __init__(
        self, solve, problems, weights_of=lambda found, problem: found
    ):
        self.solve, self.problems = solve, problems
        self.weights_of = weights_of or (lambda found, problem: found)

    def run(self, steps):
        """Makes `steps` calls, and waits for each."""
        for step in range(steps):
            np.asarray(self.solve(self.problems[step % len(self.problems)]))

    def weights(self):
        """Returns `(n, K)` weights, of all problems."""
        return np.stack(
            [
                np.asarray(self.weights_of(self.solve(problem), problem))
                for problem in self.problems
            ]
        )


class _Row:
    def __init__(self, problems):
        self.problems = problems

    def __call__(self):
        solve = tf.function(self.solver(), autograph=False, jit_compile=True)
        return SolverRunner(solve, [tf.constant(p) for p in self.problems])

    def solver(self):
        raise NotImplementedError


class _BaselineRow(_Row):
    def solver(self):
        return lambda gramian: min_norm_point(gramian).weights


class _NothingRow(_Row):
    def solver(self):
        return lambda gramian: 1.0 * gramian[0]


class _WeighterRow(_Row):
    def __init__(self, name, problems):
        super().__init__(problems)
        self.name = name

    def solver(self):
        weighter = catalogue.get(self.name)
        weighter.bind(self.problems.shape[1])
        return lambda gramian: weighter(gramian=gramian)
