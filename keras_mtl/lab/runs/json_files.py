"""JSON files: written whole or not at all, and read with distrust."""

import json
import math
import os

import keras


def read_object(path, remedy):
    """Returns the dict that a JSON file holds.

    Args:
        path: Path.
        remedy: String, a sentence that says what to do about a bad file.

    Raises:
        ValueError: If the file holds something else.
    """
    try:
        text = path.read_text("utf-8")
        content = json.loads(text)
        if "\\u" in text:  # Which may be half of a character.
            json.dumps(content, ensure_ascii=False).encode("utf-8")
    # Python gives up on a number of thousands of digits, or on as many
    # brackets.
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"'{path}' is not valid JSON: {error}. {remedy}"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"'{path}' must hold a JSON object. Received: "
            f"{type(content).__name__}. {remedy}"
        )
    return content


def write_json(path, content, indent=2):
    """Writes a JSON file, whole or not at all; NaN becomes null."""
    content = keras.tree.map_structure(_strict, content)
    text = json.dumps(content, indent=indent, allow_nan=False) + "\n"
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _strict(value):
    unknown = isinstance(value, float) and not math.isfinite(value)
    return None if unknown else value
