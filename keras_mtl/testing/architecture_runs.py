"""How an architecture must save, serve and run, one function a check."""

import json
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.testing.architecture_costs import check_gates
from keras_mtl.testing.architecture_trial import (
    ByFall,
    ByHalves,
    ByLayer,
    ByNorm,
    FixedShares,
    close,
    draws_or_counts,
)
from keras_mtl.testing.replicas import two_replicas
from keras_mtl.testing.trial import ConformanceError

# Of a dynamic loss scale, which is found from above.
MOST_OVERFLOWS = 20


def check_permutation(trial):
    """The order of the tasks changes nothing, and weights go by name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.weights.h5"
        first = trial.model()
        expected = first(trial.inputs)
        first.save_weights(path)
        second = trial.another(task_names=trial.task_names[::-1])
        second(trial.inputs)
        second.load_weights(path)
    for task, value in second(trial.inputs).items():
        what = (
            "Keras saves the layers of a list or dict by position: keep each "
            "in an attribute of its own, setattr(self, "
            f'f"tower_{{task}}", layer). With weights loaded into another '
            f"order of the tasks, {task!r}"
        )
        close(value, expected[task], 1e-5, what)


def check_saving(trial):
    """Config, `.keras` file and SavedModel give the same predictions."""
    config = keras.saving.serialize_keras_object(trial.encoder())
    json.loads(json.dumps(config))
    model = trial.model()
    expected = model(trial.inputs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message=".*__array__.*")
            loaded = keras.saving.load_model(path)
        model.export(str(Path(folder) / "served"), verbose=False)
        served = tf.saved_model.load(str(Path(folder) / "served"))
        answers = served.serve(trial.inputs)
        received = loaded.predict(trial.inputs, verbose=0)
        for task, value in expected.items():
            close(received[task], value, 1e-5, f"task {task!r} loaded")
            close(answers[task], value, 1e-4, f"task {task!r} served")


def check_precision(trial):
    """In `mixed_float16`, a step is finite, and gates are float32."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = trial.another(FixedShares(scope="shared"), rate=1e-3)
        # The loss scale is found by overflow, from above.
        for _ in range(MOST_OVERFLOWS):
            logs = model.train_on_batch(
                trial.inputs, trial.labels(), return_dict=True
            )
            if not logs["skipped_steps"]:
                break
        check_gates(model.encoder, trial.inputs)
    finally:
        keras.config.set_dtype_policy(policy)
    if logs["skipped_steps"] or not np.isfinite(logs["loss"]):
        raise ConformanceError(f"a step in mixed_float16 is not finite: {logs}")


def check_replicas(trial):
    """Two replicas on halves of a batch do what one does on all of it.

    Two in a graph, as `fit` runs them; one eagerly.
    """
    strategy = two_replicas()
    rows = trial.num_rows - trial.num_rows % 2
    inputs = keras.tree.map_structure(lambda a: a[:rows], trial.inputs)
    labels = {t: y[:rows] for t, y in trial.labels().items()}
    one = trial.model(FixedShares(scope="shared"), rate=0.1)
    if strategy is None or draws_or_counts(one):
        return
    one.train_on_batch(inputs, labels)
    with strategy.scope():
        two = trial.another(
            FixedShares(scope="shared"), rate=0.1, run_eagerly=False
        )
        two.fit(inputs, labels, batch_size=rows, shuffle=False, verbose=0)
    for mine, expected in zip(
        two.trainable_variables, one.trainable_variables, strict=True
    ):
        value = tf.convert_to_tensor(mine.value)
        close(value, expected, 1e-4, f"{mine.path!r} on two replicas")


def check_weighters(trial):
    """A step works with each kind of signal, wherever it is read."""
    weighters = [
        kind(scope=scope)
        for kind in (FixedShares, ByNorm)
        for scope in ("auto", "last_shared_layer", "all")
    ]
    weighters += [ByLayer(scope="shared"), ByHalves(scope="shared"), ByFall()]
    for weighter in weighters:
        model = trial.model(weighter, rate=1e-3)
        logs = model.train_on_batch(
            trial.inputs, trial.labels(), return_dict=True
        )
        if logs["skipped_steps"] or not np.isfinite(logs["loss"]):
            raise ConformanceError(
                f"a step that reads {[*weighter.needs, *weighter.observes]} is "
                f"not finite: {logs}"
            )
