import pytest

from keras_mtl import weighters
from keras_mtl.testing import weighter_checks

# Forms that are checked besides the default one.
VARIANTS = {
    "pcgrad-fixed-order": lambda: weighters.CATALOGUE["pcgrad"](shuffle=False),
}
# What a method cannot do by its nature, and why.
EXCEPTIONS = {
    ("pcgrad", "xla"): "XLA draws other random numbers from the same state",
    ("pcgrad", "permutation"): "each position draws its own order",
    ("pcgrad", "absent_gradient"): "the orders drawn depend on K",
    ("pcgrad-fixed-order", "permutation"): "projections follow the order",
}
SUBJECTS = {**weighters.CATALOGUE, **VARIANTS}


@pytest.mark.parametrize(
    ("weighter", "check"),
    [
        pytest.param(weighter, check, id=f"{name}-{check_name}")
        for name, weighter in SUBJECTS.items()
        for check_name, check in weighter_checks()
        if (name, check_name) not in EXCEPTIONS
    ],
)
def test_conforms(weighter, check):
    check(weighter)


def test_exceptions_name_weighters_and_checks():
    checks = dict(weighter_checks())
    for weighter, check in EXCEPTIONS:
        assert weighter in SUBJECTS
        assert check in checks
