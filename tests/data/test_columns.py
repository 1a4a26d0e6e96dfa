"""Raw columns of a table become categories and standard numbers."""

import numpy as np
import pytest

from keras_mtl.data.columns import make_columns, preprocessed

TABLE = {
    "town": np.array(["Ulm", "Rome", "Ulm"]),
    "age": np.array([20, 30, 40]),
    "member": np.array([True, False, False]),
}


def test_plain_strings_integers_and_booleans_are_columns():
    columns = make_columns(TABLE)
    found = preprocessed(columns.preprocessing, TABLE)
    # In the order of their names, from 1.
    np.testing.assert_array_equal(found["categories"], [[2], [1], [2]])
    numbers = np.stack([TABLE["age"], TABLE["member"]], axis=1)
    expected = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    np.testing.assert_allclose(found["numbers"], expected, rtol=1e-6)


@pytest.mark.parametrize("kept", [["town"], ["age", "member"]])
def test_a_table_of_one_kind_is_refused(kept):
    with pytest.raises(ValueError, match=r"one column of strings and one of"):
        make_columns({name: TABLE[name] for name in kept})


def test_a_column_of_neither_kind_is_named():
    days = np.array(["2020-01-01"] * 3, "datetime64[D]")
    with pytest.raises(ValueError, match=r"'day' must hold .*datetime64"):
        make_columns({**TABLE, "day": days})
