"""What users call says what it takes, for editors and type checkers."""

import importlib
import inspect

import keras_mtl
from keras_mtl import lab

PARTS = ("architectures", "callbacks", "data", "layers", "losses", "metrics")
PARTS += ("solvers", "testing", "weighters")
METHODS = ("compile", "fit", "evaluate", "predict", "train_on_batch")
METHODS += ("test_on_batch", "export", "from_functional")
# What the parts of the package make for each other.
INNER = ("TaskMeans", "TaskMetrics", "TrainingMonitor")
KINDS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def called_by_users():
    modules = [keras_mtl, lab]
    modules += [importlib.import_module(f"keras_mtl.{part}") for part in PARTS]
    for module in modules:
        names = getattr(module, "__all__", vars(module))
        for name in set(names) - {*INNER}:
            member = getattr(module, name)
            if inspect.isclass(member):
                member = member.__init__
            if name[0] != "_" and inspect.isfunction(inspect.unwrap(member)):
                yield f"{module.__name__}.{name}", member
    for name in METHODS:
        yield f"fit.{name}", getattr(keras_mtl.MultiTaskModel, name)


def test_every_argument_of_what_users_call_is_annotated():
    count = 0
    for where, function in called_by_users():
        if not inspect.unwrap(function).__module__.startswith("keras_mtl"):
            continue  # A constructor of Keras' own, or of a tuple.
        for name, parameter in inspect.signature(function).parameters.items():
            if name in ("self", "cls") or parameter.kind in KINDS:
                continue
            count += 1
            missing = parameter.annotation is parameter.empty
            assert not missing, f"{where} does not say what `{name}` is"
    assert count > 250
