"""One-line faults of the core, and how they are put into a copy of it."""

import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = "keras_mtl"


class Mutant(NamedTuple):
    """A fault.

    Attributes:
        name: What is wrong with it.
        file: Path within the package.
        old: Text that stands once in the file.
        new: What it becomes.
        tests: Files or tests, those first that are nearest to it.
    """

    name: str
    file: str
    old: str
    new: str
    tests: list[str]

    def applied(self, root):
        """Returns the file's text with the fault.

        Raises:
            ValueError: If the old text does not stand there exactly once.
        """
        text = (Path(root) / PACKAGE / self.file).read_text()
        if (found := text.count(self.old)) != 1:
            raise ValueError(
                f"Mutant {self.name!r} changes a line that stands once in "
                f"{self.file}. Found: {found} of {self.old!r}. Mend the entry "
                "in tests/mutants/mutants.toml."
            )
        return text.replace(self.old, self.new)


def mutants():
    """Returns all mutants, in the order of the file."""
    text = Path(__file__).with_name("mutants.toml").read_text()
    return [Mutant(**entry) for entry in tomllib.loads(text)["mutant"]]
