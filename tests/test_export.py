"""SavedModels: serving only, by name, without this package."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from tests.reference import make_data, make_model


def test_a_model_that_was_never_called(tmp_path):
    model = make_model(2)
    x, _ = make_data(2)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    expected = model.predict(x, verbose=0)
    for name in ("serve", "serving_default"):
        predictions = served.signatures[name](features=tf.constant(x))
        assert set(predictions) == set(expected)
        for task, value in predictions.items():
            np.testing.assert_allclose(value, expected[task], rtol=1e-5)
    for task in model.task_names:
        (value,) = served.signatures[task](features=tf.constant(x)).values()
        np.testing.assert_allclose(value, expected[task], rtol=1e-5)
    archive = keras.export.ExportArchive()  # By hand, as of any Keras model.
    archive.track(model)
    archive.add_endpoint("call", model.call, [tf.TensorSpec((None, 4))])
    archive.write_out(tmp_path / "archive", verbose=False)
    served = tf.saved_model.load(tmp_path / "archive")
    for task, value in served.call(x).items():
        np.testing.assert_allclose(value, expected[task], rtol=1e-5)


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_a_format_whose_packages_are_missing(tmp_path, monkeypatch, format):
    model = make_model(2)
    for name in ("onnx", "tf2onnx", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    path = tmp_path / {"onnx": "x.onnx", "openvino": "x.xml"}[format]
    with pytest.raises(ImportError, match=rf"install .*{format}.*SavedModel"):
        model.export(path, format=format, verbose=False)


def test_no_variable_of_the_weighter_or_the_optimizer(tmp_path):
    model = make_model(2)
    model.compile("adam", loss="mse", weighter="slaw", jit_compile=False)
    x, y = make_data(2)
    model.fit(x, y, verbose=0)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    assert len(served.variables) == 6


def test_where_this_package_is_not_installed(tmp_path):
    model = make_model(2)
    model.export(tmp_path / "served", verbose=False)
    x, _ = make_data(2)
    np.save(tmp_path / "x.npy", x)
    script = """
        import sys
        sys.modules["keras_mtl"] = sys.modules["keras"] = None
        import numpy as np, tensorflow as tf
        served = tf.saved_model.load(sys.argv[1] + "/served")
        x = tf.constant(np.load(sys.argv[1] + "/x.npy"))
        print(float(tf.reduce_sum(served.serve(x)["task_1"])))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = np.sum(model.predict(x, verbose=0)["task_1"])
    assert float(output.stdout) == pytest.approx(expected, rel=1e-5)


def test_named_inputs_and_separate_inputs(tmp_path):
    inputs = {s: keras.Input((2,), name=s) for s in ("left", "right")}
    joined = keras.layers.Concatenate()(list(inputs.values()))
    model = MultiTaskModel(
        keras.Model(inputs, joined), {"a": keras.layers.Dense(1)}
    )
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served").signatures["a"]
    row = tf.ones((1, 2))
    assert served(left=row, right=row)["a"].shape == (1, 1)


def test_inputs_that_are_not_known(tmp_path):
    model = MultiTaskModel(keras.layers.Dense(2), {"a": keras.layers.Dense(1)})
    with pytest.raises(
        ValueError, match="does not know the model's inputs yet"
    ):
        model.export(tmp_path / "served", verbose=False)
    spec = keras.InputSpec(shape=(None, 3), dtype="float32")
    model.export(tmp_path / "served", input_signature=spec, verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    assert served.serve(tf.ones((2, 3)))["a"].shape == (2, 1)


def test_a_task_name_that_is_taken(tmp_path):
    encoder = make_model(1).encoder
    model = MultiTaskModel(encoder, {"serve": keras.layers.Dense(1)})
    with pytest.raises(ValueError, match="task name 'serve' is taken"):
        model.export(tmp_path / "served", verbose=False)


def test_build_config_remembers_inputs_that_only_fit_knew(tmp_path):
    class Encoder(keras.layers.Layer):
        def call(self, inputs):
            return 2.0 * inputs

    keras.saving.register_keras_serializable("tests")(Encoder)
    model = MultiTaskModel(Encoder(), {"task_0": keras.layers.Dense(3)})
    model.compile("sgd", loss="mse", jit_compile=False)
    x, y = make_data(1)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    loaded.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(
        served.serve(tf.constant(x))["task_0"],
        model.predict(x, verbose=0)["task_0"],
        rtol=1e-5,
    )
