"""Names and config dicts of weighters: a weighter, or a clear error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_mtl import weighters
from keras_mtl.weighters import Weighter
from tests.fuzz.limits import clear_end, examples
from tests.fuzz.mutations import JUNK, deep, documents, texts

CONFIGS = [
    weighters.serialize(weighters.get(name)) for name in weighters.CATALOGUE
] + [
    weighters.serialize(weighters.Constant({"a": 1.0, "b": 2.0, "c": 3.0})),
    weighters.serialize(
        weighters.Tchebycheff([1.0, 2.0, 3.0], {"a": 0.0, "b": 1.0, "c": 2.0})
    ),
    {"class_name": "slaw", "config": {"momentum": 0.5}},
]
inputs = st.one_of(
    JUNK,
    st.text(max_size=12),
    st.sampled_from([deep(900), object(), weighters.SLAW]),
    *map(documents, CONFIGS),
    *(texts(config) for config in CONFIGS),
)


def check(identifier):
    if isinstance(identifier, bytes):
        try:
            identifier = json.loads(identifier)
        except (ValueError, RecursionError):
            return
    for function in (weighters.get, weighters.deserialize):
        with clear_end(ValueError):
            weighter = function(identifier)
            assert isinstance(weighter, Weighter)
            weighter.bind(3, ("a", "b", "c"))
            again = weighters.serialize(weighter)
            assert json.loads(json.dumps(again)) == weighters.serialize(
                weighters.get(again)
            )


@examples(300)
@given(inputs)
def test_configs(identifier):
    check(identifier)


@pytest.mark.soak
@examples(5_000)
@given(inputs)
def test_many_configs(identifier):
    check(identifier)
