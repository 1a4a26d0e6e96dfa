"""Examples of docstrings as code, for the reference."""

import re

import griffe

PROMPT = re.compile(r"(?:^(?:>>>|\.\.\.).*\n?)+", re.MULTILINE)


class ExamplesAsCode(griffe.Extension):
    """Fences lines with a prompt, which Markdown would take for quotations."""

    def on_object(self, *, obj, **kwargs):
        """Changes the docstring of a class or function."""
        if obj.docstring:
            obj.docstring.value = PROMPT.sub(
                lambda lines: f"```pycon\n{lines.group().rstrip()}\n```\n",
                obj.docstring.value,
            )
