"""The page about faults names tests that exist, and one for every row."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_row_names_its_test():
    tests = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    text = (ROOT / "docs" / "faults.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [line for line in lines if not re.match(r"\|-|.* test \|$", line)]
    assert rows
    for row in rows:
        name = re.fullmatch(r"\| .* \| `(test_\w+)` \|", row)
        assert name, row
        assert name[1] in tests, row
