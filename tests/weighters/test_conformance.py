import pytest

from keras_mtl import weighters
from keras_mtl.testing import ConformanceError, weighter_checks

# Forms that are checked besides the default one.
VARIANTS = {
    "pcgrad-fixed-order": lambda: weighters.CATALOGUE["pcgrad"](shuffle=False),
    "gradvac-per-layer": lambda: weighters.GradVac(per_layer=True),
    "meta_balance-per-layer": lambda: weighters.MetaBalance(per_layer=True),
    "db_mtl-averages": lambda: weighters.DBMTL(momentum=0.9),
    "sdmgrad-stochastic": lambda: weighters.SDMGrad(stochastic=True),
    "smoothed": lambda: weighters.Smoothed("slaw"),
    "scheduled": lambda: weighters.Scheduled("slaw", start=1, ramp=2),
    "clipped": lambda: weighters.Clipped("slaw", 0.5, 1.5),
    "of_log_losses": lambda: weighters.OfLogLosses("config"),
    "every": lambda: weighters.Every("gradnorm", steps=2),
    "every-observing": lambda: weighters.Every("famo", steps=2),
}
# What a method cannot do by its nature, and why.
EXCEPTIONS = {
    ("pcgrad", "permutation"): "each position draws its own order",
    ("pcgrad", "absent_gradient"): "the orders drawn depend on K",
    ("rlw", "permutation"): "each position draws its own weight",
    ("pcgrad-fixed-order", "permutation"): "projections follow the order",
    ("gradvac", "permutation"): "each position draws its own order",
    ("gradvac", "absent_gradient"): "the orders drawn depend on K",
    ("gradvac-per-layer", "permutation"): "each position draws its own order",
    ("meta_balance-per-layer", "permutation"): "the first task is the main one",
    ("pcd", "permutation"): "the first task is the main one",
    ("gradient_similarity", "permutation"): "the first task is the main one",
    ("meta_balance", "permutation"): "the first task is the main one",
}
SUBJECTS = {**weighters.CATALOGUE, **VARIANTS}
# Of losses, of a Gramian, of an update's result.
QUICK = ("slaw", "mgda", "meta_weighting")


@pytest.mark.parametrize(
    ("name", "check"),
    [
        pytest.param(
            name,
            check,
            id=f"{name}-{check}",
            marks=[] if name in QUICK else pytest.mark.slow,
        )
        for name in SUBJECTS
        for check, _ in weighter_checks()
    ],
)
def test_conforms(name, check):
    """Or, of what it cannot do, fails: then the exception is needed."""
    run = dict(weighter_checks())[check]
    if (name, check) not in EXCEPTIONS:
        run(SUBJECTS[name])
        return
    with pytest.raises(ConformanceError):
        run(SUBJECTS[name])


def test_exceptions_name_subjects_and_checks():
    known = dict(weighter_checks())
    assert all(n in SUBJECTS and c in known for n, c in EXCEPTIONS)
