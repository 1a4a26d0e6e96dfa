"""The house: imports point one way, and the documents say what is there."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from keras_mtl import weighters

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "keras_mtl"
FILES = sorted(PACKAGE.rglob("*.py"))

# What each part must not import: everything above it.
TOP = ("training", "model", "weighters")
ABOVE = {
    "checks": [""],
    "precision": [""],
    "distribution": ["gradients", "signals", *TOP],
    "signals": ["gradients", *TOP],
    "gradients": ["signals", *TOP],
    "graph": ["gradients", *TOP],
    "solvers": ["gradients", "data", *TOP],
    "weighters": ["gradients", "training", "model", "data", "layers"],
    "layers": ["tasks", "metrics", "training", "model"],
    "architectures": ["gradients", *TOP],
    "tasks": ["gradients", "training/step", "training/trainer", *TOP[1:]],
    "reporting": ["training", "model"],
    "training/step": ["training/trainer", "model", "weighters"],
    "training/evaluator": ["training/trainer", "training/step", *TOP[1:]],
    "training": ["model"],
    "saving": ["model"],
    "model": ["testing"],
}
# The laboratory, and what users need for it, is above everything.
LAB = "keras_mtl.lab"


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("part", ABOVE)
def test_imports_point_one_way(part):
    files = [PACKAGE / f"{part}.py", *(PACKAGE / part).glob("**/*.py")]
    for path in filter(Path.exists, files):
        for module in imports(path):
            for above in ABOVE[part]:
                name = f"keras_mtl.{above.replace('/', '.')}".rstrip(".")
                allowed = module.startswith("keras_mtl.checks")
                assert allowed or not (
                    module == name or module.startswith(name + ".")
                ), f"{path.name} imports {module}"


def test_nothing_outside_the_laboratory_imports_it():
    for path in FILES:
        inside = path.relative_to(PACKAGE).parts[0]
        if inside in ("lab", "__init__.py"):  # Which loads it on demand.
            continue
        for module in imports(path):
            assert not module.startswith(LAB), f"{path} imports {module}"
            assert module.split(".")[0] not in ("typer", "rich"), path


def test_only_one_file_knows_of_replicas():
    allowed = {"distribution.py", "replicas.py"}
    for path in FILES:
        if path.name not in allowed:
            text = path.read_text()
            assert "tf.distribute." not in text.replace("`tf.distribute", ""), (
                path
            )
            assert "get_replica_context" not in text, path


ALLOWED = ("weighters", "lab")


def test_no_method_name_stands_outside_its_folder():
    """In code: the experiments' defaults are what users read and change."""
    names = {cls.__name__ for cls in weighters.CATALOGUE.values()}
    # These two are words as well.
    names |= set(weighters.CATALOGUE) - {"constant", "config"}
    for path in FILES:
        inside = path.relative_to(PACKAGE).parts[0]
        if inside in ALLOWED:
            continue
        code = ast.parse(path.read_text())
        for node in ast.walk(code):
            word = getattr(node, "id", getattr(node, "attr", None))
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                word = node.value
            assert word not in names, f"{path}: {word}"


def test_files_are_short():
    def length(path):
        return len(path.read_text().splitlines())

    lengths = [length(path) for path in FILES]
    tests = Path(__file__).parent.rglob("*.py")
    assert max(*lengths, *map(length, tests)) <= 300
    assert sorted(lengths)[len(lengths) // 2] < 120


def test_experiments_comparisons_and_benchmarks_are_at_most_a_third():
    """Of the package's lines; data sets and the command line stand beside."""
    parts = ("benchmarks", "comparisons", "experiments", "runs")
    lines = {path: len(path.read_text().splitlines()) for path in FILES}
    lab = {p: n for p, n in lines.items() if p.is_relative_to(PACKAGE / "lab")}
    counted = sum(
        n for p, n in lab.items() if p.relative_to(PACKAGE).parts[1] in parts
    )
    assert counted < sum(lines.values()) * 0.3
    assert sum(lab.values()) < sum(lines.values()) * 0.35


def test_the_package_has_no_assert_and_no_bare_except():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, ast.Assert), path
            bare = isinstance(node, ast.ExceptHandler) and node.type is None
            assert not bare, path


def table_of_weighters():
    text = (ROOT / "docs" / "weighters.md").read_text()
    text = text.split("| weighter | signals |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", text, re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a weighter stands there twice"
    return {
        name: [cell.strip() for cell in rest.split("|")] for name, rest in rows
    }


def test_the_table_of_weighters_is_the_catalogue():
    table = table_of_weighters()
    assert set(table) == set(weighters.CATALOGUE)
    for name, cls in weighters.CATALOGUE.items():
        weighter = cls()
        signals = re.findall(r"`(\w+)`", table[name][0])
        declared = [*weighter.needs, *weighter.observes]
        assert signals == [s for s in dict.fromkeys(declared) if s != "present"]
        assert len(table[name]) == 6
        assert all(table[name]), f"{name}: an empty cell"


def test_the_decision_tree_names_weighters():
    text = (ROOT / "docs" / "weighters.md").read_text().split("```")[1]
    ends = re.findall(r"\.{3,} (.+)$", text, re.MULTILINE)
    assert len(ends) > 10
    known = {*weighters.CATALOGUE, *weighters.ALIASES}
    assert {name for end in ends for name in end.split(", ")} <= known


def test_the_table_of_wrappers_is_the_code():
    text = (ROOT / "docs" / "weighters.md").read_text()
    text = text.split("| wrapper | weights |")[1].split("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)\((.*?)\)` \|", text, re.MULTILINE))
    assert list(rows) == [c.__name__ for c in weighters.WRAPPERS.values()]
    for cls in weighters.WRAPPERS.values():
        arguments = list(inspect.signature(cls).parameters)[:-1]
        assert rows[cls.__name__].split(", ") == arguments


def test_the_version_is_the_changelogs_and_the_citations():
    import keras_mtl

    version = keras_mtl.__version__
    releases = re.findall(
        r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert releases[0] == "Unreleased"
    number, date = releases[1].split(" - ")
    assert number == version
    cited = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {version}\ndate-released: {date}\n" in cited
