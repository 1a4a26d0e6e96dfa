"""Every functional graph of `tests.graphs`, in all that is done with a model.

Gradients are held against a float64 backward pass for each task.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.combination import Combination
from keras_mtl.gradients import TaskGradients, roles
from keras_mtl.signals import SIGNALS, reads_query, resolve_scope
from tests.graph_twin import Twin
from tests.graphs import GRAPHS, data, layer_of, separate_data
from tests.kinds import measured_alike
from tests.training import seeded

RATE = 0.1
pytestmark = pytest.mark.filterwarnings(
    # Keras hands its variables to NumPy in a way that NumPy 2 deprecates.
    "ignore:__array__ implementation:DeprecationWarning",
    "ignore:Skipping nested container:UserWarning",
)


def compiled(graph, weighter="uniform", cut=None, **kwargs):
    """Returns a multi-task model, and the Keras model that it is made of."""
    keras.utils.set_random_seed(3)
    source = graph.model()
    model = MultiTaskModel.from_functional(source, cut)
    kwargs = {"jit_compile": False, **kwargs}
    optimizer = keras.optimizers.SGD(RATE)
    model.compile(optimizer, "mse", weighter=weighter, **kwargs)
    return model, source


def close(received, expected, message=""):
    scale = max(np.max(np.abs(expected)), 1e-6)
    np.testing.assert_allclose(
        received, expected, rtol=1e-4, atol=2e-5 * scale, err_msg=message
    )


def scopes_of(graph):
    words = ["last_shared_layer", "shared", "all"]
    return ["representation", *words] if graph.make()[2] else words


def expected_gramian(model, twin, found, scope, separate):
    if scope == "representation":
        rows = [task["taps"].ravel() for task in found]
        if separate:  # No row in common.
            return np.diag([row @ row for row in rows])
        return np.stack(rows) @ np.stack(rows).T
    rows = twin.matrix(found, scope, roles.scope_variables(model, scope))
    return rows @ rows.T


@pytest.mark.parametrize("name", GRAPHS)
def test_gradients_and_gramians(name):
    graph = GRAPHS[name]
    model, source = compiled(graph)
    twin = Twin(graph, source)
    variables = roles.task_variables(model)
    shared = {id(v) for v in roles.shared_variables(model)}
    assert {layer_of(v) for v in variables if id(v) in shared} == graph.shared
    assert model.task_names == tuple(graph.make()[1])
    scopes, weights = scopes_of(graph), np.arange(len(model.task_names)) + 1.0
    weights = weights.astype("float32")

    def measured(batch):
        mine = TaskGradients(model, (*batch, None), False, scope="shared")
        mine.keep("shared", False)
        found = {
            scope: (mine.gramian(scope), mine.norms(scope)) for scope in scopes
        }
        other = TaskGradients(model, (*batch, None), False, scope="shared")
        across = other.gramian("shared", mine)
        combined = mine.combined(weights, variables, tf.ones_like(weights))
        return mine.losses, found, across, combined, mine.matrix("shared")

    for arrange in (data, separate_data):
        batch = arrange(graph)
        is_separate = arrange is separate_data
        losses, found = twin.gradients(*batch)
        expected = {
            scope: expected_gramian(model, twin, found, scope, is_separate)
            for scope in scopes
        }
        rows = twin.matrix(found, "shared", roles.shared_variables(model))
        sums = [
            sum(
                (w if id(v) in shared else 1.0) * task[v.path]
                for w, task in zip(weights, found, strict=True)
            )
            for v in variables
        ]
        for run in (tf.function(measured, autograph=False), measured):
            received_losses, received, across, combined, matrix = run(batch)
            where = f"{arrange.__name__}, {'eager' if run is measured else ''}"
            close(received_losses, losses, where)
            for scope, gramian in expected.items():
                norms = np.sqrt(np.diag(gramian))
                close(received[scope][0], gramian, f"{where}: {scope}")
                close(received[scope][1], norms, f"{where}: {scope}")
            close(across, rows @ rows.T, where)
            close(matrix, rows, where)
            flat = [np.ravel(tf.convert_to_tensor(g)) for g in combined]
            close(np.concatenate(flat), np.concatenate(sums), where)


def chosen():
    """Yields a graph and weighters: one of all measured alike, and a share."""
    names = [*weighters.CATALOGUE]
    firsts = {measured_alike(name): name for name in reversed(names)}
    for number, graph in enumerate(GRAPHS):
        share = names[number :: len(GRAPHS)]
        yield graph, list(dict.fromkeys([*firsts.values(), *share]))


def signals(model, twin, batch, weighter):
    """Returns what a weighter asks for before the update, from the twin."""
    x, y = batch
    losses, found = twin.gradients(x, y)
    scope = resolve_scope(weighter, model.has_common_representation(x))
    known = {"losses": losses, "present": np.ones_like(losses), "epoch": 0.0}
    if any(SIGNALS[name].of_gradients for name in weighter.needs):
        gramian = expected_gramian(model, twin, found, scope, False)
        known["gramian"] = gramian
        known["gradient_norms"] = np.sqrt(np.diag(gramian))
    if "gradients" in weighter.needs:
        if scope == "representation":
            known["gradients"] = np.stack([t["taps"].sum(0) for t in found])
        else:
            variables = roles.scope_variables(model, scope)
            # In full: their rows make up these variables' whole update.
            known["gradients"] = twin.matrix(found, "all", variables)
    if "split_gramian" in weighter.needs:
        variables = roles.scope_variables(model, scope)
        even, odd = (
            twin.matrix(twin.gradients(*half)[1], scope, variables)
            for half in (_every_other(batch, 0), _every_other(batch, 1))
        )
        known["split_gramian"] = even @ odd.T
    return {
        name: tf.constant(known[name], tf.float32) for name in weighter.needs
    }, found


def expected_steps(model, wanted, found, weighter, x):
    """Returns what a `Combination` makes of the gradients, by path."""
    shared = {id(v) for v in roles.shared_variables(model)}
    steps = {}
    for variable in roles.task_variables(model):
        weights = wanted.shared
        if id(variable) not in shared and wanted.heads is not None:
            weights = wanted.heads
        steps[variable.path] = sum(
            float(w) * task[variable.path]
            for w, task in zip(weights, found, strict=True)
        )
    if wanted.rows is not None:
        common = model.has_common_representation(x)
        scope = resolve_scope(weighter, common)
        variables = roles.scope_variables(model, scope)
        ends = np.cumsum([len(steps[v.path]) for v in variables])
        total = np.sum(wanted.rows, axis=0)
        parts = np.split(total, ends[:-1])
        steps |= zip((v.path for v in variables), parts, strict=True)
    return steps


def _every_other(batch, first):
    return keras.tree.map_structure(lambda array: array[first::2], batch)


@pytest.mark.parametrize(("name", "several"), [*chosen()])
def test_one_step_of_every_kind_of_weighter(name, several):
    graph = GRAPHS[name]
    x, y = data(graph)
    model, source = compiled(graph)
    twin = Twin(graph, source)
    start = source.get_weights()
    for kind in several:
        source.set_weights(start)
        weighter, by_hand = seeded(kind), seeded(kind)
        model.compile(
            keras.optimizers.SGD(RATE),
            "mse",
            weighter=weighter,
            run_eagerly=True,
        )
        query = (x, y) if reads_query(weighter) else None
        before = {v.path: v.numpy() for v in source.trainable_variables}
        if "signed_gradients" in weighter.needs:  # A test of its own.
            wanted = None
        else:
            by_hand.bind(len(y), tuple(y))
            asked, found = signals(model, twin, (x, y), by_hand)
            wanted = by_hand.weigh(**asked)
        model.train_on_batch(x, y, query_data=query)
        if wanted is None:
            continue
        steps = expected_steps(model, wanted, found, by_hand, x)
        for variable in roles.task_variables(model):
            step = steps[variable.path]
            moved = before[variable.path] - variable.numpy()
            np.testing.assert_allclose(
                moved.ravel() / RATE,
                step,
                rtol=2e-3,
                atol=2e-3 * max(1e-2, np.max(np.abs(step))),
                err_msg=f"{kind}: {variable.path}",
            )


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        *(("chain", None), ("ple", None), ("unet", None)),
        # A table that is used above the cut, too, and layers that are.
        *(("tied", None), ("chain", "h1")),
    ],
)
def test_signs_and_coordinates_at_every_tensor_of_the_cut(name, cut):
    """Against a tape from copies of the cut, and the weighted sum.

    What is used above the cut has the plain gradients of there.
    """
    graph = GRAPHS[name]
    model, source = compiled(graph, cut=cut)
    twin, number = Twin(graph, source), len(model.task_names)
    shapes = [tuple(t.shape[1:]) for t in model.section.given]
    size = sum(map(np.prod, shapes))
    weights = np.arange(number, dtype="float32") + 1.0
    shared = roles.shared_variables(model)
    drop = Combination(
        tf.ones(number), coordinates=np.tile(weights[:, None], (1, size))
    )

    def measured(x, y):
        batch = TaskGradients(model, (x, y, None), False, scope="shared")
        combined = batch.finely_combined(drop, "representation")
        return batch.signed_sums(), [combined[id(v)] for v in shared]

    def expected_above(x, y):
        given = keras.tree.map_structure(
            tf.identity, keras.tree.flatten(model.section.below(x))
        )
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(given)
            outputs = model.section.predict(given)
            errors = {t: (p - y[t]) ** 2 for t, p in outputs.items()}
        rows, above = [], []
        for task in model.task_names:
            pulled = tape.gradient(
                errors[task], given, unconnected_gradients="zero"
            )
            direct = tape.gradient(
                errors[task],
                [v.value for v in shared],
                unconnected_gradients="zero",
            )
            size = np.size(errors[task])
            above.append(
                [np.ravel(tf.convert_to_tensor(g)) / size for g in direct]
            )
            total = [
                np.sum(g * np.sign(leaf), axis=0).ravel()
                for g, leaf in zip(pulled, given, strict=True)
            ]
            rows.append(np.concatenate(total) / size)
        return np.stack(rows), above

    for arrange in (data, separate_data):
        x, y = arrange(graph)
        _, found = twin.gradients(x, y)
        batches = [data(graph, 5 - k, k) for k in range(number)]
        each = [expected_above(*batch) for batch in batches]
        if arrange is data:
            each = [expected_above(x, y)] * number
        sums = np.stack([rows[k] for k, (rows, _) in enumerate(each)])
        steps = [
            sum(
                w * (task[v.path] - above[k][n]) + above[k][n]
                for k, (w, task, (_, above)) in enumerate(
                    zip(weights, found, each, strict=True)
                )
            )
            for n, v in enumerate(shared)
        ]
        for run in (tf.function(measured, autograph=False), measured):
            received, combined = run(x, y)
            close(received, sums, arrange.__name__)
            flat = [np.ravel(tf.convert_to_tensor(g)) for g in combined]
            close(np.concatenate(flat), np.concatenate(steps), name)
