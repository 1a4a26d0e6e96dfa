import numpy as np
import pytest

from keras_mtl import delta_m


def test_delta_m_is_the_mean_relative_change():
    base = {"seg": {"iou": 0.5, "acc": 0.8}, "depth": 0.5}
    scores = {"seg": {"iou": 0.55, "acc": 0.72}, "depth": 0.6}
    up = {"iou": True, "acc": True, "depth": False}
    # Segmentation: +10 % and -10 %; depth: -20 %.
    assert delta_m(scores, base, up) == pytest.approx(-10.0)
    assert delta_m(base, base, up) == 0.0
    assert np.isnan(delta_m({"a": 1.0}, {"a": 0.0}))
    with pytest.raises(ValueError, match="'depth' is missing in `scores`"):
        delta_m({"seg": scores["seg"]}, base, up)
    with pytest.raises(ValueError, match="which way 'depth' is better"):
        delta_m(scores, base, {"iou": True, "acc": True})
    # The same without names of metrics, as LibMTL has them.
    rows = {"seg": [0.55, 0.72], "depth": [0.6]}
    of_rows = {"seg": [0.5, 0.8], "depth": [0.5]}
    up = {"seg": [True, True], "depth": [False]}
    assert delta_m(rows, of_rows, up) == pytest.approx(-10.0)
    with pytest.raises(ValueError, match="`base` must be a dict from task"):
        delta_m(rows, [0.5], up)
