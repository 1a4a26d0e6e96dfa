import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.lab.benchmarks import workloads
from keras_mtl.lab.benchmarks.declaration import declaration
from keras_mtl.lab.benchmarks.operations import (
    Dense,
    Layers,
    additional_operations,
    dense_layers,
    least_ratio,
    uniform_operations,
)

# Two rows, 3 inputs, layers of 4 and 5 units, two heads of one unit.
LAYERS = Layers([Dense(2, 3, 4), Dense(2, 4, 5)], [Dense(2, 5, 1)] * 2)
# Products of the three kinds of layers: 2 * 3 * 4 * 2 and so on.
FIRST, SECOND, HEAD = 48, 80, 20


def more(weighter):
    return additional_operations(LAYERS, declaration(weighters.get(weighter)))


def test_uniform_has_a_product_forward_and_two_backward_but_one_at_first():
    assert uniform_operations(LAYERS) == 2 * FIRST + 3 * SECOND + 3 * 2 * HEAD


@pytest.mark.parametrize(
    "weighter",
    ["uniform", "slaw", "dwa", "bandit_mtl", "tchebycheff", "uncertainty"],
)
def test_losses_cost_nothing(weighter):
    assert more(weighter) == 0


def test_a_gramian_of_representations_takes_two_small_products():
    # Lower halves of (2, 2): 3 entries, each from 2 rows and from 5 units.
    assert more("mgda") == 3 * 2 * (2 + 5)


def test_norms_at_the_last_layer_take_cotangents_and_norms():
    # Sum of two cotangents (2, 5), by weights.
    cotangents = 2 * 2 * 2 * 5
    # A Aᵀ has 3 entries from 4 inputs. Each Δ Δᵀ has 3 from 5 units, and
    # meets it entry by entry. The gradients themselves: 80 + 80 more.
    crossed = 2 * 3 * 4 + 2 * (2 * 3 * 5 + 2 * 3)
    assert more("gradnorm") == cotangents + crossed


def test_a_gramian_of_all_shared_variables_goes_layer_by_layer():
    cotangents = 2 * 2 * 2 * 5
    # Of the first layer's outputs: one more product, and a sum of (2, 4).
    deeper = SECOND + 2 * 2 * 2 * 4
    # A Aᵀ from 3 and 4 inputs, its factor 8/3, the triangle's products with
    # the cotangents, and 3 inner products: cheaper than C Δ only if 8/3 is
    # less than the triangle saves.
    first = 3 * 2 * 3 + min(2 * 4 * 2 * 4, 8 / 3 + 6 * 2 * 4) + 6 * 2 * 4
    second = 3 * 2 * 4 + min(2 * 4 * 2 * 5, 8 / 3 + 6 * 2 * 5) + 6 * 2 * 5
    assert more("pcgrad") == pytest.approx(cotangents + deeper + first + second)


def test_halves_of_a_batch_meet_in_a_quarter_of_the_products():
    cotangents = 2 * 2 * 2 * 5
    deeper = SECOND + 2 * 2 * 2 * 4
    # One row with one, through 3 and 4 inputs; it meets both tasks'
    # cotangents, and these the other half's: two products of two tasks.
    first = 2 * (3 + 2 * 4) + 2 * 4 * 4
    second = 2 * (4 + 2 * 5) + 2 * 4 * 5
    assert more("modo") == cotangents + deeper + first + second


def test_query_rows_pass_forward_and_backward_too():
    forward = FIRST + SECOND + 2 * HEAD
    cotangents = 2 * 2 * 2 * 5 + 2 * HEAD
    deeper = (SECOND + 2 * 2 * 2 * 4) + 2 * SECOND
    first = 2 * 4 * (3 + 2 * 4) + 8 * 2 * 4
    second = 2 * 4 * (4 + 2 * 5) + 8 * 2 * 5
    heads = 2 * HEAD + 2 * 5 * 2
    expected = forward + cotangents + deeper + first + second + heads
    assert more("meta_weighting") == expected


def test_gradients_are_materialised_where_that_is_cheaper():
    many_rows = Layers([Dense(1000, 2, 2)], [Dense(1000, 2, 1)] * 2)
    declared = declaration(weighters.PCGrad())
    cotangents = 2 * 2 * 1000 * 2
    gradients = 8000 + 2 * 2 * 4
    products = 6 * 4
    assert additional_operations(many_rows, declared) == (
        cotangents + gradients + products
    )


def test_the_reference_is_as_large_as_its_paper_and_batch():
    work, x = workloads.mlp(128, 4), np.empty((512, 2048))
    layers = dense_layers(work.model, x)
    trunk = 2 * 512 * (2048 * 2000 + 2000 * 100)
    assert uniform_operations(layers) == (
        3 * trunk - 2 * 512 * 2048 * 2000 + 3 * 2 * 512 * 100 * 128
    )
    ratio = least_ratio(work.model, weighters.MGDA(), x)
    assert 1.0 < ratio < 1.01


def test_layers_of_another_kind_are_not_counted():
    image = keras.Input((4, 4, 1))
    inside = keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(image))
    heads = {"a": keras.layers.Dense(1)}
    model = MultiTaskModel(keras.Model(image, inside), heads)
    model.compile("sgd", "mse")
    assert (
        least_ratio(model, weighters.Constant(), np.empty((2, 4, 4, 1))) is None
    )


def test_separate_inputs_and_a_layer_used_twice_are_not_counted():
    inputs = keras.Input((3,))
    layer = keras.layers.Dense(3)
    twice = keras.Model(inputs, layer(layer(inputs)))
    model = MultiTaskModel(twice, {"a": keras.layers.Dense(1)})
    assert dense_layers(model, np.empty((2, 3))) is None
    encoder = keras.layers.Dense(2)
    separate = MultiTaskModel(encoder, {"a": keras.layers.Dense(1)})
    separate.compile("sgd", "mse")
    x, y = ({"a": np.ones((2, size), "float32")} for size in (3, 1))
    separate.fit(x, y, verbose=0)
    assert dense_layers(separate, x) is None
    shared = MultiTaskModel(keras.layers.Dense(2), {"a": keras.layers.Dense(1)})
    shared.compile("sgd", "mse")
    shared.fit(x["a"], y, verbose=0)
    expected = Layers([Dense(2, 3, 2)], [Dense(2, 2, 1)])
    assert dense_layers(shared, x["a"]) == expected
