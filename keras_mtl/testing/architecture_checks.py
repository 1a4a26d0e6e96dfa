"""What an architecture must do, one function a check."""

import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.gradients import TaskGradients, roles
from keras_mtl.testing.architecture_costs import check_variance
from keras_mtl.testing.architecture_trial import (
    FixedShares,
    close,
    draws_or_counts,
    shares,
)
from keras_mtl.testing.trial import ConformanceError

SCOPES = ("shared", "last_shared_layer", "all")


def check_declaration(trial):
    """Task names are kept, and every task has a representation of one shape."""
    encoder = trial.encoder()
    if encoder.task_names != trial.task_names:
        raise ConformanceError(
            f"its task_names are {encoder.task_names}, not {trial.task_names}. "
            "Pass them to super().__init__()"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs = encoder(trial.inputs)
    found = [*outputs] if isinstance(outputs, dict) else outputs
    if not isinstance(outputs, dict) or set(outputs) != set(trial.task_names):
        raise ConformanceError(
            "it must return a dict with every task's representation; it "
            f"returned {found}"
        )
    shapes = {tuple(output.shape) for output in outputs.values()}
    if len(shapes) > 1:
        raise ConformanceError(f"representations differ in shape: {shapes}")


def check_owners(trial):
    """The graph says of each variable what single backward passes say."""
    model, reached = trial.model(), trial.task_gradients
    counts = {v.path: 0 for v in model.encoder.trainable_variables}
    for gradients in reached.values():
        for path in _moved(gradients):
            counts[path] = counts.get(path, 0) + 1
    idle = sorted(counts.keys() - {p for of in reached.values() for p in of})
    if idle:
        raise ConformanceError(
            f"these variables reach no task, and would never train: {idle}"
        )
    shared = {v.path for v in roles.shared_variables(model)}
    expected = {path for path, count in counts.items() if count > 1}
    if shared != expected:
        raise ConformanceError(
            "shared variables are taken for a task's own, or the reverse: "
            f"{sorted(shared ^ expected)}"
        )


def check_cut(trial):
    """What several tasks share lies at or below the cut."""
    encoder = trial.model().encoder
    if not encoder.has_cut:
        raise ConformanceError(
            "it overrides call(). Define shared(inputs) and own(task, cut, "
            "inputs), so that gradients can be read at the cut"
        )
    x = keras.tree.map_structure(tf.convert_to_tensor, trial.inputs)
    whole = encoder(x)
    variables = [v.value for v in encoder.trainable_variables]
    above = {}
    with tf.GradientTape(persistent=True) as tape:
        cut = keras.tree.map_structure(tf.stop_gradient, encoder.shared(x))
        parts = {t: encoder.own(t, cut, x) for t in trial.task_names}
    for task, part in parts.items():
        close(part, whole[task], 1e-5, f"own() of task {task!r}")
        for variable, gradient in zip(
            encoder.trainable_variables,
            tape.gradient(part, variables),
            strict=True,
        ):
            if gradient is not None:
                above.setdefault(variable.path, []).append(task)
    leaks = [path for path, tasks in above.items() if len(tasks) > 1]
    if leaks:
        raise ConformanceError(
            "several tasks reach these variables above the cut, so that "
            f"gradients at the cut leave them out: {leaks}. Return what they "
            "make from shared()"
        )


def check_gradients(trial):
    """Gramians in every scope are those of a backward pass per task.

    The passes are in float32, as the encoder is; products are in float64.
    """
    by_task = trial.task_gradients
    model = trial.model(FixedShares(scope="shared"))
    batch = (trial.inputs, trial.labels(), None)

    def measure(batch):
        gradients = TaskGradients(model, batch, training=False, scope="all")
        return {scope: gradients.gramian(scope) for scope in SCOPES}

    graph = tf.function(measure, autograph=False)
    # The same graph: tracing takes longer than to compile it.
    xla = tf.function(graph, autograph=False, jit_compile=True)
    for how, function in (
        ("eagerly", measure),
        ("in a graph", graph),
        ("with XLA", xla),
    ):
        for scope, received in function(batch).items():
            found = [roles.scope_variables(model, scope)]
            paths = [v.path for v in keras.tree.flatten(found)]
            expected = _gramian(by_task, trial.task_names, paths)
            close(received, expected, 1e-4, f"the Gramian of {scope!r} {how}")
    expected = _gramian_at_cut(trial, model)
    if expected is not None:
        gradients = TaskGradients(model, batch, False, scope="representation")
        received = gradients.gramian("representation")
        close(received, expected, 1e-4, "the Gramian at the cut")


def check_update(trial):
    """`Σ w_k g_k` moves shared variables, plain `g_k` a task's own."""
    by_task = trial.task_gradients
    model = trial.model(FixedShares(scope="shared"))
    shared = {v.path for v in roles.shared_variables(model)}
    weights = dict(
        zip(
            trial.task_names, shares(len(trial.task_names)).numpy(), strict=True
        )
    )
    before = {v.path: np.array(v) for v in model.trainable_variables}
    if draws_or_counts(model):
        return  # In training it computes something else.
    model.train_on_batch(trial.inputs, trial.labels())
    for variable in model.trainable_variables:
        path = variable.path
        moved = before[path] - np.array(variable)
        expected = sum(
            (weights[task] if path in shared else 1.0) * gradients[path]
            for task, gradients in by_task.items()
            if path in gradients
        )
        close(moved, expected, 1e-3, f"the step of {path!r}")


def check_inputs(trial):
    """Separate inputs are those of each task, with any number of rows."""
    model = trial.model(FixedShares(scope="shared"))
    rows = {
        task: max(2, trial.num_rows - number)
        for number, task in enumerate(trial.task_names)
    }
    inputs = trial.separate(rows)
    apart = model(inputs)
    for task, own in inputs.items():
        alone = model(own)[task]
        close(apart[task], alone, 1e-5, f"task {task!r} with its own inputs")
    labels = {t: y[: rows[t]] for t, y in trial.labels().items()}
    logs = model.train_on_batch(inputs, labels, return_dict=True)
    if not np.isfinite(logs["loss"]):
        raise ConformanceError("with inputs of other lengths the loss is lost")
    _check_absent(trial)


def _check_absent(trial):
    """What is an absent task's own stays as it is."""
    absent, reached = trial.task_names[0], trial.task_gradients
    model = trial.model(FixedShares(scope="shared"))
    others = {p for t in trial.task_names[1:] for p in _moved(reached[t])}
    own = [v for v in model.trainable_variables if v.path not in others]
    before = [np.array(v) for v in own]
    weight = {absent: np.zeros(trial.num_rows, "float32")}
    model.train_on_batch(trial.inputs, trial.labels(), sample_weight=weight)
    for variable, value in zip(own, before, strict=True):
        close(variable, value, 0.0, f"{variable.path!r} of an absent task")


def check_start(trial):
    """Variables that are drawn start apart, experts as large as one alone."""
    check_variance(trial)
    encoder = trial.model().encoder
    seen = {}
    for variable in encoder.trainable_variables:
        value = np.array(variable)
        # Kernels of several experts may be slices of one variable.
        parts = [*value] if value.ndim > 2 else [value]
        for part in parts:
            if np.ptp(part) == 0.0:
                continue  # Zeros of biases, say.
            key = (part.shape, part.tobytes())
            if key in seen:
                raise ConformanceError(
                    f"{variable.path!r} and {seen[key]!r} start equal, and "
                    "stay nearly equal. Clone initializers, or change their "
                    "seeds"
                )
            seen[key] = variable.path


def _moved(gradients):
    """Returns the paths of variables with a gradient other than 0.

    Where tasks are slices of one tensor, the others' variables have one of 0.
    """
    return [path for path, gradient in gradients.items() if np.any(gradient)]


def _gramian_at_cut(trial, model):
    """Returns the Gramian of a cut that is one tensor, or `None`."""
    encoder, x = (
        model.encoder,
        keras.tree.map_structure(tf.constant, trial.inputs),
    )
    cut = encoder.shared(x) if encoder.has_cut else [None, None]
    if len(keras.tree.flatten(cut)) != 1:
        return None
    labels, rows = trial.labels(), []
    for task in trial.task_names:
        with tf.GradientTape() as tape:
            tape.watch(keras.tree.flatten(cut))
            output = model.heads[task](encoder.own(task, cut, x))
            loss = tf.reduce_mean((output - labels[task]) ** 2)
        (gradient,) = tape.gradient(loss, keras.tree.flatten(cut))
        rows.append(np.ravel(np.array(gradient, "float64")))
    return np.array(rows) @ np.array(rows).T


def _gramian(by_task, task_names, paths):
    def flat(task):
        return [by_task[task].get(path) for path in paths]

    def inner(first, second):
        pairs = zip(flat(first), flat(second), strict=True)
        return sum(
            float(np.sum(a * b))
            for a, b in pairs
            if a is not None and b is not None
        )

    return [[inner(a, b) for b in task_names] for a in task_names]
