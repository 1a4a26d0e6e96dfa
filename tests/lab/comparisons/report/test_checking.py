import pytest

from keras_mtl.lab.comparisons.report import checking


@pytest.mark.parametrize("value", [0.5, -1, 2**53 + 2, True, None, "1"])
def test_counts_are_integers_within_their_range(value):
    assert checking.count(3.0, 2**53) == 3
    with pytest.raises(TypeError, match=r"expected .*received"):
        checking.count(value, 2**53)
