import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_mtl.data import mask_missing

NAN = np.nan


@given(
    hnp.arrays(
        "float32",
        hnp.array_shapes(min_dims=1, max_dims=4, max_side=4),
        elements=st.sampled_from([NAN, 0.0, 1.5, -2.0]),
    )
)
def test_labels_are_kept_and_only_the_missing_ones_weigh_nothing(labels):
    values, weight = mask_missing(labels, vector=False)
    missing = np.isnan(labels)
    np.testing.assert_array_equal(values[~missing], labels[~missing])
    assert not values[missing].any()
    np.testing.assert_array_equal(weight, ~missing)
    assert values.dtype == labels.dtype
    assert weight.dtype == np.float32


@pytest.mark.parametrize(
    ("shape", "weight_shape"),
    [
        ((5,), (5,)),
        ((5, 1), (5,)),
        ((5, 3), (5,)),
        ((5, 2, 3), (5, 2, 3)),
        ((5, 2, 3, 4), (5, 2, 3)),
    ],
)
def test_weights_drop_the_axis_of_vector_labels(shape, weight_shape):
    assert mask_missing(np.zeros(shape))[1].shape == weight_shape


def test_a_vector_with_any_missing_entry_is_missing():
    given = np.array([[1.0, NAN], [2.0, 3.0], [NAN, NAN]])
    with pytest.warns(UserWarning, match=r"^1 labels of 'labels' .* vector="):
        mask_missing(given)
    labels, weight = mask_missing(given[:2], vector=True)
    np.testing.assert_array_equal(labels, [[1.0, 0.0], [2.0, 3.0]])
    np.testing.assert_array_equal(weight, [0.0, 1.0])


def test_labels_of_steps_are_masked_one_by_one():
    _, weight = mask_missing(
        {"tags": np.array([[3, -1], [2, 1]])}, missing=-1, vector=False
    )
    np.testing.assert_array_equal(weight["tags"], [[1.0, 0.0], [1.0, 1.0]])


def test_each_task_may_have_its_own_sentinel():
    labels, weight = mask_missing(
        {"a": np.array([1.0, NAN, -1.0]), "b": np.array([-1, 0, 2])},
        missing={"b": -1},
    )
    np.testing.assert_array_equal(labels["a"], [1.0, 0.0, -1.0])
    np.testing.assert_array_equal(weight["a"], [1.0, 0.0, 1.0])
    np.testing.assert_array_equal(labels["b"], [0, 0, 2])
    np.testing.assert_array_equal(weight["b"], [0.0, 1.0, 1.0])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32"])
@pytest.mark.parametrize("missing", [NAN, -1, 255])
def test_tensors_in_a_data_set_are_masked_as_arrays_are(dtype, missing):
    labels = {"a": np.array([1, 255, 0, 7]).astype(dtype)}
    if dtype != "uint8":
        labels["a"][2] = -1
    expected_labels, expected_weight = mask_missing(labels, missing)
    dataset = tf.data.Dataset.from_tensors((np.ones((4, 2)), labels))
    dataset = dataset.map(lambda x, y: (x, *mask_missing(y, missing)))
    _, values, weight = next(iter(dataset))
    np.testing.assert_array_equal(values["a"], expected_labels["a"])
    np.testing.assert_array_equal(weight["a"], expected_weight["a"])
    assert values["a"].dtype == dtype
    assert weight["a"].dtype == "float32"


def test_unknown_task_is_refused():
    with pytest.raises(ValueError) as error:
        mask_missing({"tone": np.zeros(2)}, missing={"tome": -1})
    assert str(error.value) == (
        "Argument `missing` names the unknown task 'tome'. "
        "Tasks: ['tone']. Did you mean 'tone'?"
    )


def test_tensor_of_unknown_rank_is_refused():
    @tf.function(input_signature=[tf.TensorSpec(None)])
    def mask(labels):
        return mask_missing({"a": labels})

    with pytest.raises(ValueError, match="The number of axes of 'a' must be"):
        mask.get_concrete_function()
