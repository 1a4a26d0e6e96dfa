import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from keras_mtl.lab.datasets import overlaid_digits


@settings(max_examples=10, deadline=None)
@given(st.integers(5, 60), st.integers(0, 9), st.integers(0, 8))
def test_shapes_ranges_and_tasks(num_samples, seed, overlap):
    sets = overlaid_digits(num_samples, seed, overlap, validation=True)
    fifth = num_samples // 5
    for (x, y), count in zip(sets, (num_samples, fifth, fifth), strict=True):
        assert x.shape == (count, 8, 16 - overlap, 1)
        assert x.dtype == np.float32
        assert x.min() >= 0.0
        assert x.max() <= 1.0
        assert all(labels.dtype == np.int32 for labels in y.values())
        even = (y["left"] + y["right"]) % 2 == 0
        np.testing.assert_array_equal(y["even_sum"], even)


@pytest.mark.parametrize("validation", [False, True])
def test_no_digit_is_in_two_sets(validation):
    sets = overlaid_digits(3_000, 2, overlap=0, validation=validation)
    digits = [
        {half.tobytes() for half in np.concatenate([x[:, :, :8], x[:, :, 8:]])}
        for x, _ in sets
    ]
    assert len(sets) == 2 + validation
    assert len(set.union(*digits)) == sum(map(len, digits))


def test_labels_are_those_of_the_source():
    digits = load_digits()
    source = {
        (image.astype("float32") / 16.0).tobytes(): target
        for image, target in zip(digits.images, digits.target, strict=True)
    }
    (x, y), _ = overlaid_digits(50, overlap=0)
    for picture, left, right in zip(x, y["left"], y["right"], strict=True):
        assert source[picture[:, :8, 0].tobytes()] == left
        assert source[picture[:, 8:, 0].tobytes()] == right


def test_the_brighter_pixel_shows_where_digits_overlap():
    (apart, _), _ = overlaid_digits(20, overlap=0)
    (over, _), _ = overlaid_digits(20, overlap=3)
    left, right = apart[:, :, :8], apart[:, :, 8:]
    np.testing.assert_array_equal(
        over[:, :, 5:8], np.maximum(left[:, :, 5:], right[:, :, :3])
    )


def test_seed_decides():
    first, again, other = (overlaid_digits(20, s)[0][0] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_too_wide_overlap_is_refused():
    with pytest.raises(ValueError) as error:
        overlaid_digits(20, overlap=9)
    assert str(error.value) == (
        "Argument `overlap` must be at most 8, the digits' width. "
        "Received: overlap=9"
    )
