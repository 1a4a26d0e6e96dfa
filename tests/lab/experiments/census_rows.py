"""Files of a made-up table with the columns of Census-Income."""

from keras_mtl.lab.datasets.census import LABELS, LEFT_OUT, made_up_census
from keras_mtl.lab.datasets.census_files import COLUMNS, NUMERIC, SPLITS

OTHER = {"income": "- 50000.", "marital": "Widowed"}


def write_table(folder, num_rows=256):
    """Writes both files, of as many rows each.

    Args:
        folder: `Path`.
        num_rows: Integer.
    """
    sets = made_up_census(num_rows)
    for name, split in SPLITS.items():
        x, y = sets[split]
        columns = {n: x[n].astype(int).astype(str) for n in NUMERIC}
        columns["instance_weight"] = ["1700.09"] * num_rows
        for task, labels in y.items():
            words = OTHER[task], LABELS[task]
            columns[task] = [words[label] for label in labels]
        assert {*LEFT_OUT} <= {*columns}
        rows = zip(*({**x, **columns}[n] for n in COLUMNS), strict=True)
        lines = [", ".join(map(str, row)) for row in rows]
        (folder / name).write_text("\n".join(lines) + "\n")
