"""The examples of public names run, and give what they say."""

import ast
import dataclasses
import doctest
import importlib
import inspect
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl
from keras_mtl import weighters

PARTS = ("architectures", "callbacks", "data", "layers", "losses", "metrics")
PARTS += ("lab", "solvers", "testing", "weighters")
# Whose examples are read only, and where the same call runs.
ELSEWHERE = {
    "benchmark": "tests/lab/benchmarks",
    "compare": "tests/lab/comparisons/test_own_model.py",
    "check_architecture": "tests/architectures/test_conformance.py",
    "check_weighter": "tests/weighters/test_conformance.py",
    "two_replicas": "tests/process.py; a second strategy ends the process",
}
# What readers have already: rows, and a model of the tasks of the example.
ROWS = 12
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(ROWS, 5)).astype("float32")
BINARY = np.arange(ROWS)[:, None] % 2
SMOOTH = X[:, :1] * 0.5
MODELS = {
    "BackupAndRestore": {"topic": SMOOTH, "tone": BINARY},
    "DeltaM": {"topic": BINARY, "stars": SMOOTH},
    "LogWriter": {"topic": SMOOTH, "tone": BINARY},
    "SupportQuery": {"a": BINARY, "b": SMOOTH},
    "TaskMeans": {"topic": SMOOTH, "tone": BINARY},
    "TaskMetrics": {"topic": SMOOTH, "tone": BINARY},
    "TaskWeightLogger": {"topic": SMOOTH, "tone": BINARY},
    "TrainingMonitor": {"topic": SMOOTH, "tone": BINARY},
    "RankingMetrics": {"click": BINARY, "buy": 1 - BINARY},
    "GateLogger": {"income": BINARY, "marital": 1 - BINARY},
    "task_batches": {"a": BINARY, "b": SMOOTH},
    "CosineDistance": {"normals": X[:, :3]},
    "ScaleInvariantLog": {"depth": SMOOTH},
    "task_gradients": {"topic": SMOOTH, "tone": BINARY},
}


def model_of(name, labels):
    heads = {
        task: keras.layers.Dense(
            array.shape[1], "sigmoid" if array.dtype.kind == "i" else None
        )
        for task, array in labels.items()
    }
    encoder = keras.layers.Dense(4, "relu")
    if name == "GateLogger":
        encoder = keras_mtl.architectures.MMoE(labels, encoder, 2)
    model = keras_mtl.MultiTaskModel(encoder, heads)
    binary = {t for t, array in labels.items() if array.dtype.kind == "i"}
    model.compile(
        "adam",
        loss={
            t: "binary_crossentropy" if t in binary else "mse" for t in heads
        },
        metrics={t: ["accuracy"] for t in binary},
    )
    model(X)
    return model


def dense(units=1):
    return keras.layers.Dense(units)


def prepared(where):
    """Returns what the reader of an example has."""
    module, _, name = where.rpartition(".")
    names = {"keras": keras, "np": np, "tf": tf, "keras_mtl": keras_mtl}
    for part in (keras_mtl, *map(importlib.import_module, MODULES)):
        names |= {n: getattr(part, n) for n in exported(part)}
    own = importlib.import_module(module)  # Last: two modules have a `get`.
    names |= {n: getattr(own, n) for n in exported(own)}
    names |= {"dataclasses": dataclasses}
    names |= {"x": X, "pytest": pytest, "MyWeighter": weighters.SLAW}
    names |= {"head": dense(), "other_head": dense(), "other": dense()}
    names |= {"encoder": dense(4), "backbone": dense(4), "weighters": weighters}
    names |= {"other_layer": dense(4), "heads": {"a": dense(), "b": dense()}}
    names |= {"prices": SMOOTH, "sold": BINARY, "y": BINARY}
    labels = MODELS.get(name)
    if labels is not None:
        names |= {"model": model_of(name, labels), "y": labels}
        names |= {"val": (X, labels), "y_256": labels}
        names |= {"x_val": X, "y_val": labels, "x_a": X, "x_b": X}
        names |= {"y_a": BINARY, "y_b": SMOOTH}
        names["present_val"] = {task: np.ones(ROWS) for task in labels}
    if name == "zip_support_query":
        rows = tf.data.Dataset.from_tensor_slices((X, {"a": SMOOTH}))
        names |= {"support": rows, "query": rows}
    if name == "mask_missing":
        rows = tf.data.Dataset.from_tensor_slices((X, {"a": SMOOTH}))
        names["dataset"] = rows.batch(4)
    if name == "StackedHeads":
        names |= {"y": np.ones((ROWS, 128)), "present": np.ones((ROWS, 128))}
    return names


MODULES = [f"keras_mtl.{part}" for part in PARTS]


def exported(module):
    return [n for n in getattr(module, "__all__", vars(module)) if n[0] != "_"]


def documented():
    found = {}
    for module in (keras_mtl, *map(importlib.import_module, MODULES)):
        for name in exported(module):
            member = getattr(module, name)
            of_ours = getattr(member, "__module__", "").startswith("keras_mtl")
            text = inspect.cleandoc(member.__doc__ or "") if of_ours else ""
            examples = doctest.DocTestParser().get_examples(text)
            if examples:
                found[f"{module.__name__}.{name}"] = examples
    return found


EXAMPLES = documented()


@pytest.fixture(autouse=True)
def _eagerly(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def told(example):
    """Returns what an example says that it gives, as text, or None."""
    lines = example.want.splitlines()
    if lines:
        return "\n".join(line.split("  #")[0] for line in lines)
    comment = example.source.rpartition("#")[2] if "#" in example.source else ""
    lists = re.findall(r"\[[^\]]*\]", comment.rpartition("->")[2])
    return lists[0] if lists and "half way" not in comment[:9] else None


def agrees(given, text):
    """Whether a value is the one of the text, to its last digit."""
    names = {"array": np.array, "float32": "float32"}
    expected = eval(text, names)
    if "'" in text and not isinstance(expected, dict):
        return given == expected
    if isinstance(expected, dict):  # What training finds is not told exactly.
        return set(given) == set(expected)
    if isinstance(expected, tuple) and len(expected) == len(given):
        pairs = zip(given, expected, strict=True)
    else:
        pairs = [(given, expected)]
    digits = max(map(len, re.findall(r"\.(\d+)", text)), default=0)
    return all(
        np.shape(g) == np.shape(e)
        and np.allclose(np.asarray(g), e, rtol=0, atol=0.51 * 10.0**-digits)
        for g, e in pairs
    )


@pytest.mark.filterwarnings("ignore:Even though the `tf.config:UserWarning")
@pytest.mark.parametrize("where", EXAMPLES)
def test_the_example_runs_and_gives_what_it_says(where):
    name = where.rpartition(".")[2]
    code = [ast.parse(example.source) for example in EXAMPLES[where]]
    if name in ELSEWHERE:
        return
    names = prepared(where)
    for example, tree in zip(EXAMPLES[where], code, strict=True):
        (node,) = tree.body
        if not isinstance(node, ast.Expr):
            exec(example.source, names)
            continue
        given = eval(compile(ast.Expression(node.value), where, "eval"), names)
        expected = told(example)
        if expected is not None:
            assert agrees(given, expected), f"{example.source} gives {given}"


def test_every_weighter_and_architecture_has_an_example():
    have = {where.rpartition(".")[2] for where in EXAMPLES}
    known = weighters.CATALOGUE | weighters.WRAPPERS
    known |= keras_mtl.architectures.catalogue.CATALOGUE
    assert {cls.__name__ for cls in known.values()} <= have
    assert len(have) > 90


def test_every_name_of_the_api_pages_has_an_example():
    """Those of data sets and networks are not run: they need files."""
    pages = Path(__file__).parents[1].glob("docs/api/*.md")
    names = [
        name
        for page in pages
        for name in re.findall(r"^::: (\S+)", page.read_text(), re.MULTILINE)
    ]
    assert len(names) > 70
    for name in names:
        module, _, attribute = name.rpartition(".")
        member = getattr(importlib.import_module(module), attribute)
        text = inspect.cleandoc(member.__doc__)
        examples = doctest.DocTestParser().get_examples(text)
        assert examples, name
        for example in examples:
            ast.parse(example.source)
