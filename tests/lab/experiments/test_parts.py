import dataclasses

import numpy as np

from keras_mtl.data import SupportQuery
from keras_mtl.lab.experiments.experiment import Experiment
from keras_mtl.lab.experiments.parts import Parts
from keras_mtl.lab.runs.diagnostics import _spread

ROWS = np.arange(6)
LABELS = {"a": ROWS, "b": -ROWS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Masked(Experiment):
    name = "masked"
    all_tasks = ("a", "b")

    def load(self):
        shared = (ROWS, LABELS, {"b": ROWS + 0.5})
        return Parts(shared, test=(LABELS, LABELS, None), validation=shared[:2])


def test_weights_stay_with_their_tasks():
    parts = Masked(tasks=("b",)).parts()
    x, y, weights = parts.train
    assert x is ROWS
    assert set(y) == set(weights) == {"b"}
    # Inputs of each task go by task, too.
    assert [set(side) for side in parts.test] == [{"b"}, {"b"}]
    assert len(parts.validation) == 2
    _, y, weights = Masked(tasks=("a",)).parts().train
    assert set(y) == {"a"}
    assert weights is None


def test_some_rows_keep_their_weights():
    x, y, weights = _spread(Masked().load().train, 3)
    np.testing.assert_array_equal(weights["b"], x + 0.5)
    np.testing.assert_array_equal(y["b"], -x)
    assert len(x) == 3
    assert len(_spread(SupportQuery(*[(ROWS, LABELS, None)] * 2).query, 3)) == 2
