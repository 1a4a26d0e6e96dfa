"""What of Keras and TensorFlow is not public does what we use it for.

Where one of these fails after an update, the function of the same name in
`keras_mtl/compat.py` is what to mend, and its docstring says to what.
"""

import ast
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import compat

PACKAGE = Path(compat.__file__).parent


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((3,), name="row")
    hidden = keras.layers.Dense(2, name="hidden")(inputs)
    outputs = keras.layers.Dropout(0.5, seed=1)(hidden)
    model = keras.Model({"row": inputs}, {"out": outputs})
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="mse")
    model.fit({"row": np.ones((2, 3))}, {"out": np.ones((2, 2))}, verbose=0)
    return model


def test_layers(model):
    hidden = model.get_layer("hidden")
    assert hidden in compat.layers_within(model)
    assert compat.layers_within(hidden) == [hidden]
    assert [v.name for v in compat.own_trainable(hidden)] == ["kernel", "bias"]
    assert compat.own_trainable(model) == []
    hidden.trainable = False
    assert len(compat.own_trainable(hidden)) == 2
    hidden.trainable = True
    norm = keras.layers.BatchNormalization()
    norm.build((None, 2))
    assert len(compat.own_non_trainable(norm)) == 2
    (dropout,) = [la for la in model.layers if "dropout" in la.name]
    assert len(compat.seed_generators(dropout)) == 1
    layer = keras.layers.Layer()
    variable = keras.Variable(1.0, trainable=False)
    compat.track_variable(layer, variable)
    assert compat.own_non_trainable(layer) == [variable]
    tracker = compat.tracker_of(hidden)
    tracker.unlock()
    tracker.lock()


def test_graphs(model):
    output = model.output["out"]
    operation, node = compat.made_by(output)
    assert "dropout" in operation.name
    assert compat.made_by(node.input_tensors[0])[0].name == "hidden"
    assert compat.num_calls(operation) >= 1
    assert set(compat.input_structure(model)) == {"row"}
    assert compat.input_structure(keras.layers.Dense(1)) is None
    spec = compat.compute_output_spec(model, {"row": keras.Input((3,))})
    assert spec["out"].shape == (None, 2)

    @tf.function(autograph=False)
    def doubled(x):
        return tf.function(lambda y: 2 * y, autograph=False)(x)

    graph = doubled.get_concrete_function(tf.TensorSpec((), tf.float32)).graph
    calls = [op for op in graph.get_operations() if "f" in op.node_def.attr]
    body = compat.called_function(calls[0])
    assert "Mul" in [op.type for op in body.graph.get_operations()]


def test_masks():
    tensor = tf.constant([1.0])
    assert compat.mask_of(tensor) is None
    compat.set_mask(tensor, "mask")
    assert compat.mask_of(tensor) == "mask"
    embedded = keras.layers.Embedding(3, 2, mask_zero=True)(tf.constant([[0]]))
    assert compat.mask_of(embedded).numpy().tolist() == [[False]]


def test_losses_and_metrics():
    label, output = tf.ones((2, 1)), tf.ones((2, 1))
    loss = compat.get_loss("mae", label, output)
    assert loss.fn is keras.losses.mean_absolute_error
    assert compat.wrapped_arguments(loss) == {}
    ignoring = keras.losses.SparseCategoricalCrossentropy(ignore_class=3)
    assert compat.wrapped_arguments(ignoring)["ignore_class"] == 3
    metric = compat.get_metric("accuracy", label, output)
    assert isinstance(metric, keras.metrics.BinaryAccuracy)
    assert compat.wrapped_function(metric)(label, output).shape[0] == 2
    assert compat.wrapped_function(keras.metrics.AUC()) is None
    late = keras.metrics.F1Score()
    assert compat.waits_for_shapes(late)
    late.update_state(tf.ones((2, 3)), tf.ones((2, 3)))
    assert not compat.waits_for_shapes(late)
    assert not compat.waits_for_shapes(metric)
    thresholds, even, logits = compat.area_settings(
        keras.metrics.AUC(num_thresholds=3, from_logits=True)
    )
    np.testing.assert_allclose(thresholds, [0, 0.5, 1], atol=1e-6)
    assert even
    assert logits
    assert issubclass(keras.metrics.MeanIoU, compat.IoUBase)
    assert issubclass(keras.metrics.TruePositives, compat.ConditionCount)
    assert issubclass(
        keras.metrics.PrecisionAtRecall, compat.SensitivitySpecificityBase
    )
    assert compat.to_snake_case("MeanIoU") == "mean_io_u"


def test_optimizers(model):
    optimizer = model.optimizer
    assert compat.iterations(optimizer).numpy() == 1
    moved = compat.optimized_variables(optimizer)
    assert [id(v) for v in moved] == [id(v) for v in model.trainable_variables]
    clipping = keras.optimizers.SGD(clipvalue=0.5)
    (clipped,) = compat.clipped(clipping, [tf.constant([3.0, -0.1])])
    np.testing.assert_allclose(clipped, [0.5, -0.1])
    assert compat.optimizer_map(optimizer) is None
    adam = keras.optimizers.Adam(0.1, 0.5, 0.75, amsgrad=True)
    pair = [keras.Variable([1.0]), keras.Variable([2.0])]
    adam.build(pair)
    adam.apply([tf.constant([4.0]), tf.constant([8.0])], pair)
    found = [float(v.numpy()[0]) for v in compat.adam_moments(adam, pair[1])]
    assert found == [0.5 * 8.0, 0.25 * 64.0, 0.25 * 64.0]
    plain = keras.optimizers.Adam()
    plain.build(pair)
    assert compat.adam_moments(plain, pair[0])[2] is None
    decaying = keras.optimizers.AdamW(1e-9, weight_decay=0.5)
    kernel, bias = (keras.Variable([1.0], name=n) for n in ("kernel", "bias"))
    decaying.build([kernel, bias])
    compat.leave_undecayed(decaying, [kernel, bias], [bias], decaying)
    decaying.learning_rate = 1.0
    decaying.apply([tf.zeros(1), tf.zeros(1)])
    np.testing.assert_allclose([kernel.numpy(), bias.numpy()], [[0.5], [1.0]])


def test_a_multi_optimizer_says_who_moves_what():
    first, second = keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.2)
    if not hasattr(keras.optimizers, "MultiOptimizer"):
        pytest.skip("this Keras has no MultiOptimizer")
    several = keras.optimizers.MultiOptimizer(lambda v: first, [first, second])
    variable = keras.Variable(1.0)
    several.build([variable])
    assert compat.optimizer_map(several)(variable) is first


def test_files(model, tmp_path):
    model.save_weights(tmp_path / "a.weights.h5")
    model.save(tmp_path / "a.keras")
    name = "layers/dense"
    store = compat.weights_store(str(tmp_path / "a.weights.h5"))
    kernel = store.get(name)["0"]
    np.testing.assert_allclose(kernel, model.get_layer("hidden").kernel)
    store.close()
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        store = compat.weights_store(None, archive)
        assert "0" in store.get(name)
        store.close()
    compat.load_weights_only(
        model, tmp_path / "a.weights.h5", objects_to_skip=[]
    )
    scope = "shared_objects/id_to_obj_map"
    assert not compat.is_scope_open(scope)
    with compat.ObjectSharingScope():
        assert compat.is_scope_open(scope)
        assert compat.get_shared_object(12345) is None
    archive = keras.export.ExportArchive()
    assert not compat.is_exported_name_taken(archive, "my_task")
    assert compat.is_exported_name_taken(archive, "variables")


def test_a_progress_bar_forgets(capsys):
    bar = keras.utils.Progbar(2)
    bar.update(1, [("old", 1.0)])
    compat.forget_values(bar)
    capsys.readouterr()
    bar.update(2, [("new", 2.0)])
    line = capsys.readouterr().out
    assert "new: 2.0" in line
    assert "old" not in line


def test_training(model, strategy):
    compat.set_initial_epoch(model, 2)
    history = model.fit(
        {"row": np.ones((2, 3))}, {"out": np.ones((2, 2))}, epochs=3, verbose=0
    )
    compat.set_initial_epoch(model, None)
    assert history.epoch == [2]
    assert not compat.has_several_workers(strategy)
    (spec,) = compat.get_tensor_spec([(np.ones((2, 3)),), (np.ones((2, 4)),)])
    assert spec.shape.as_list() == [None, None]


def test_a_layer_builds_by_being_called():
    """Before its own `build`, which then finds its layers built."""

    class Twice(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = keras.layers.Dense(2)

        @compat.builds_by_call
        def build(self, input_shape):
            assert self.inner.built

        def call(self, inputs):
            return 2.0 * self.inner(inputs)

    assert Twice()(np.ones((1, 3))).shape == (1, 2)


def own_names(files):
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield node.name
            elif isinstance(getattr(node, "ctx", None), ast.Store):
                yield getattr(node, "attr", getattr(node, "id", None))


def test_no_other_file_touches_what_is_not_public():
    files = sorted(PACKAGE.rglob("*.py"))
    # Of named tuples, which the standard library documents.
    own = {*own_names(files), "_asdict", "_replace"}
    for path in files:
        if path.name == "compat.py":
            continue
        text = path.read_text()
        assert "keras.src" not in text, path
        assert "tensorflow.python" not in text, path
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Attribute) or node.attr in own:
                continue
            inherited = getattr(node.value, "id", None) in ("self", "cls")
            private = node.attr[0] == "_" and node.attr[:2] != "__"
            assert inherited or not private, f"{path}: {ast.unparse(node)}"
