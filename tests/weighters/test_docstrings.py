"""The examples in the docstrings of weighters run, and give what they show."""

import ast
import inspect
import re

import keras
import numpy as np
import pytest

from keras_mtl import weighters

BASES = {c.__name__: c for c in (weighters.Weighter, weighters.Wrapper)}
KNOWN = (weighters.CATALOGUE | weighters.WRAPPERS).values()
CLASSES = BASES | {cls.__name__: cls for cls in KNOWN}
EXAMPLE = re.compile(r"^>>> (.*(?:\n\.\.\. .*)*)\n?((?!>>>).+)?", re.MULTILINE)
# Numbers behind an arrow or a hash, or in the line below the code.
SHOWN = re.compile(r"(?:-> |# |^)(\[[\d\[\]., -]+\])", re.MULTILINE)
DRAWN_AT_RANDOM = ("GradDrop",)


@pytest.mark.parametrize("name", CLASSES)
def test_the_examples_of_a_weighter(name):
    names = {**CLASSES, "keras": keras, "weighters": weighters}
    examples = EXAMPLE.findall(inspect.getdoc(CLASSES[name]))
    assert examples
    for code, below in examples:
        *lines, last = ast.parse(code.replace("\n... ", "\n")).body
        if not isinstance(last, ast.Expr):
            lines, last = [*lines, last], None
        exec(compile(ast.Module(lines, []), name, "exec"), names)
        if last is None:
            continue
        value = eval(compile(ast.Expression(last.value), name, "eval"), names)
        shown = SHOWN.search(f"# {code.partition('  # ')[2]}\n{below}")
        if shown and name not in DRAWN_AT_RANDOM:
            numbers = re.findall(r"[\d.-]+", shown[1])
            for number, found in zip(numbers, np.ravel(value), strict=True):
                decimals = len(number.partition(".")[2])
                assert abs(float(number) - found) <= 0.51 * 10.0**-decimals
