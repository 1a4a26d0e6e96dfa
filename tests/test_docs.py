"""The documentation: its code runs, its links lead somewhere, nothing lacks."""

import importlib
import inspect
import re
import shlex
from pathlib import Path

import pytest
import typer.main

from keras_mtl import weighters
from keras_mtl.lab.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
# A block in a comment prepares what the reader of the page has already.
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page, language):
    text = page.read_text()
    for match in BLOCK.finditer(text):
        if match.group(1) == language:
            line = text[: match.start(2)].count("\n")
            yield line, match.group(2)


def compiled(page):
    for line, code in blocks(page, "python"):
        # Blank lines in front, so that a traceback has the page's own line.
        yield compile("\n" * line + code, str(page), "exec")


# The public suites choose how they run. A comparison trains many models, for a
# moment each; the notebook of one runs as users' do.
QUICKLY = ("testing.check_", "keras_mtl.compare(")


def runs_quickly(page):
    """Whether the code of a page runs as tests do."""
    return any(
        call in code for _, code in blocks(page, "python") for call in QUICKLY
    )


# These first: users' way of running stays on once it is asked for.
WITH_CODE = [page for page in PAGES if any(blocks(page, "python"))]
WITH_CODE.sort(key=runs_quickly, reverse=True)


@pytest.mark.parametrize("page", WITH_CODE, ids=str)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch, request):
    if not runs_quickly(page):
        request.getfixturevalue("_as_users_run")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__page__"}
    for code in compiled(page):
        exec(code, names)


def command_lines():
    for page in PAGES:
        for _, block in blocks(page, ""):
            whole = block.replace("\\\n", " ")
            for line in re.findall(r"^keras-mtl (.*)$", whole, re.MULTILINE):
                yield str(page.relative_to(ROOT)), line.split("  #")[0]


def test_the_command_lines_are_ones_that_the_command_takes():
    command = typer.main.get_command(app)
    seen = 0
    for page, line in command_lines():
        name, *arguments = shlex.split(line)
        assert name in command.commands, f"{page}: keras-mtl {line}"
        known = command.commands[name]
        known.make_context(name, arguments, resilient_parsing=False)
        seen += 1
    assert seen > 10


def anchors(page):
    for heading in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", heading.lower())
        yield re.sub(r"\s+", "-", plain.strip())


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page):
    text = BLOCK.sub("", page.read_text())
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        if path.startswith("comparisons/"):  # Drawn from these by `make docs`.
            path = f"../examples/results/{Path(path).parts[1]}/compare.json"
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in set(anchors(target)), f"{page.name}: {link}"


PUBLIC = [
    "keras_mtl",
    *(f"keras_mtl.{part}" for part in ("architectures", "callbacks", "data")),
    *(f"keras_mtl.{part}" for part in ("layers", "metrics", "solvers")),
    *(f"keras_mtl.{part}" for part in ("testing", "weighters")),
]


def public_names(module):
    own = (n for n, v in vars(module).items() if not inspect.ismodule(v))
    return getattr(module, "__all__", [n for n in own if n[0] != "_"])


def test_every_public_name_has_its_place_in_the_reference():
    text = "\n".join(p.read_text() for p in (ROOT / "docs/api").glob("*.md"))
    described = set(re.findall(r"^::: keras_mtl\S*?(\w+)$", text, re.M))
    # The page of weighters lists the catalogue by itself.
    assert "{{ weighters }}" in text
    known = weighters.CATALOGUE | weighters.WRAPPERS
    described |= {cls.__name__ for cls in known.values()}
    for part in PUBLIC:
        module = importlib.import_module(part)
        for name in public_names(module):
            member = getattr(module, name)
            if inspect.ismodule(member) or isinstance(member, dict):
                continue
            assert name in described, f"{part}.{name} is in no page of docs/api"
            assert member.__doc__, f"{part}.{name} has no docstring"
