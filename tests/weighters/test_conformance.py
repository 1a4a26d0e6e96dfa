import pytest

from keras_mtl import weighters
from keras_mtl.testing import ConformanceError, weighter_checks

# Forms that are checked besides the default one.
VARIANTS = {
    "pcgrad-fixed-order": lambda: weighters.CATALOGUE["pcgrad"](shuffle=False),
    "sdmgrad-stochastic": lambda: weighters.SDMGrad(stochastic=True),
    "smoothed": lambda: weighters.Smoothed("slaw"),
    "scheduled": lambda: weighters.Scheduled("slaw", start=1, ramp=2),
    "clipped": lambda: weighters.Clipped("slaw", 0.5, 1.5),
    "of_log_losses": lambda: weighters.OfLogLosses("mgda"),
    "every": lambda: weighters.Every("gradnorm", steps=2),
    "every-observing": lambda: weighters.Every("meta_weighting", steps=2),
}
# What a method cannot do by its nature, and why.
EXCEPTIONS = {
    ("pcgrad", "permutation"): "each position draws its own order",
    ("pcgrad", "absent_gradient"): "the orders drawn depend on K",
    ("rlw", "permutation"): "each position draws its own weight",
    ("pcgrad-fixed-order", "permutation"): "projections follow the order",
    ("gradvac", "permutation"): "each position draws its own order",
    ("gradvac", "absent_gradient"): "the orders drawn depend on K",
    ("pcd", "permutation"): "the first task is the main one",
    ("gradient_similarity", "permutation"): "the first task is the main one",
    ("meta_balance", "permutation"): "the first task is the main one",
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


@pytest.mark.parametrize(("name", "check_name"), EXCEPTIONS)
def test_exception_is_needed(name, check_name):
    with pytest.raises(ConformanceError):
        dict(weighter_checks())[check_name](SUBJECTS[name])
