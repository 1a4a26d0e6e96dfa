"""Changes to documents and files, as damage and malice make them."""

import copy
import json
import math

from hypothesis import strategies as st

# Numbers that a size may be: too large ones must be beyond any memory.
NUMBERS = (0, -1, 1, 2, 7, 0.5, -2.5, 1e-320, 1e308, 2**31, 2**63, 10**30)
OTHERS = (
    *(None, True, False, math.nan, math.inf, -math.inf, 10**400),
    *("", "x", "3", "a/b", "$\\frac{$", "\ud800", "\0", "<b>", "%s", "../x"),
    *("slaw", "SLAW", "keras_mtl>MultiTaskModel", "Lambda", "os", "builtins"),
    *([], {}, [[]], [1, "x"], {"x": {}}, ["x"] * 3, [None, 4]),
    *({"class_name": "Lambda"}, {"class_name": "x", "config": {}}),
    {"module": "os", "class_name": "system", "config": {"command": "true"}},
)


def deep(levels):
    """Returns lists in lists."""
    document = []
    for _ in range(levels):
        document = [document]
    return document


JUNK = st.one_of(
    st.sampled_from([*NUMBERS, *OTHERS, deep(200)]),
    st.text(max_size=5),
    st.integers(-5, 5),
    st.floats(),
)


def places(document):
    """Returns the containers of a document, each with one of its keys."""
    found = []
    stack = [document]
    while stack:
        part = stack.pop()
        keys = part if isinstance(part, dict) else range(len(part))
        for key in keys:
            found.append((part, key))
            if isinstance(part[key], dict | list):
                stack.append(part[key])
    return found


@st.composite
def documents(draw, document, junk=JUNK):
    """Draws a document with one to three changes.

    Args:
        document: Dict or list of what JSON knows.
        junk: Strategy of what may come in the place of a part.
    """
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        found = places(document)
        if not found:
            return draw(junk)
        part, key = found[draw(st.integers(0, len(found) - 1))]
        change = draw(st.sampled_from(["replace", "drop", "rename", "copy"]))
        if change == "replace":
            part[key] = copy.deepcopy(draw(junk))
        elif change == "drop":
            del part[key]
        elif change == "rename" and isinstance(part, dict):
            part[draw(st.text(max_size=5))] = part.pop(key)
        else:
            other, place = found[draw(st.integers(0, len(found) - 1))]
            part[key] = copy.deepcopy(other[place])
    return document


@st.composite
def texts(draw, document, junk=JUNK):
    """Draws the bytes of a changed JSON document, or of a damaged one."""
    text = json.dumps(draw(documents(document, junk))).encode()
    damage = draw(st.sampled_from([None] * 6 + ["cut", "flip", "deep", "none"]))
    if damage == "deep":
        return b"[" * 100_000
    if damage == "none":
        return draw(st.binary(max_size=20))
    return damaged(draw, text) if damage else text


def damaged(draw, content):
    """Returns bytes of which one is changed, or that are cut."""
    place = draw(st.integers(0, max(0, len(content) - 1)))
    if draw(st.booleans()):
        return content[:place]
    changed = bytearray(content)
    if changed:
        changed[place] = draw(st.integers(0, 255))
    return bytes(changed)


@st.composite
def binaries(draw, content):
    """Draws bytes with up to four changes."""
    for _ in range(draw(st.integers(1, 4))):
        content = damaged(draw, content)
    return content
