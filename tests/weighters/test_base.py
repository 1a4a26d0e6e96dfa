import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import weighters
from keras_mtl.weighters import GradientWeighter, Weighter


class Average(Weighter):
    """The mean of the losses so far, and a state of every shape."""

    def build(self, losses_shape):
        (num_tasks,) = losses_shape
        self.total = self.add_state("total", losses_shape)
        self.pairs = self.add_state("pairs", (num_tasks, num_tasks))
        self.steps = self.add_state("steps", (), dtype="int32")

    def call(self, losses, present=None):
        self.steps.assign_add(1)
        self.total.assign_add(losses)
        self.pairs.assign_add(losses[:, None] + 10.0 * losses)
        return self.total / tf.cast(self.steps, tf.float32)


def bound(names):
    weighter = Average()
    weighter.bind(len(names), names)
    return weighter


def test_unknown_signals_are_refused_when_the_class_is_made():
    with pytest.raises(TypeError) as error:

        class MyWeighter(Weighter):
            def call(self, grammian):
                return grammian

    assert str(error.value) == (
        "MyWeighter.call() asks for the unknown signal 'grammian'. Known "
        "signals: losses, present, epoch, gradient_norms, gramian, "
        "gramian_by_layer, gradients, signed_gradients, split_gramian. Did "
        "you mean 'gramian'?"
    )
    with pytest.raises(TypeError, match=r"observe\(\) asks for .* 'losses'"):

        class Observer(Weighter):
            def call(self, losses):
                return losses

            def observe(self, losses):
                return losses


def test_signals_are_declared_by_name():
    class Observer(Weighter):
        def call(self, losses, gramian=None, present=None):
            return losses

        def observe(self, query_losses, learning_rate):
            return query_losses

    assert Observer().needs == ("losses", "present")
    assert Observer().observes == ("query_losses", "learning_rate")
    assert Average().observes == ()


@pytest.mark.parametrize(
    "losses",
    [[1, 2], (1.0, 2.0), np.array([1.0, 2.0]), tf.constant([1.0, 2.0])],
)
def test_plain_arrays_are_taken(losses):
    weighter = Average()
    assert weighter.task_weights is None
    for weights in (weighter(losses), weighter(losses=losses, present=None)):
        assert weights.dtype == tf.float32
        np.testing.assert_array_equal(weights, [1.0, 2.0])
        np.testing.assert_array_equal(weighter.task_weights, weights)


def test_what_is_always_known_may_be_passed_to_all():
    """One loop on plain arrays serves weighters that do not read it."""
    known = {"present": [1.0, 1.0], "epoch": 0.0, "learning_rate": 0.1}
    for name in ("constant", "slaw", "moml"):
        weights = weighters.get(name)(losses=[1.0, 3.0], **known)
        np.testing.assert_array_equal(weights, [1.0, 1.0])
    gramian = {"query_support_gramian": [[2.0, 1.0], [3.0, 1.0]]}
    alone, moml = weighters.MOML(), weighters.MOML()
    received = moml.observe(**gramian, **known)
    np.testing.assert_array_equal(received, alone.observe(**gramian))
    with pytest.raises(TypeError, match="'gramian'"):
        weighters.get("slaw")(losses=[1.0, 3.0], gramian=np.eye(2))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_call_changes_no_state(bad):
    weighter = Average()
    before = weighter(losses=[1.0, 2.0])
    state = [v.numpy() for v in weighter.variables]
    np.testing.assert_array_equal(weighter(losses=[bad, 2.0]), before)
    for variable, value in zip(weighter.variables, state, strict=True):
        np.testing.assert_array_equal(variable, value)
    np.testing.assert_array_equal(weighter(losses=[3.0, 2.0]), [2.0, 2.0])


def test_a_non_finite_observation_changes_no_state():
    meta = weighters.MetaWeighting()
    before = meta.observe(np.eye(2), learning_rate=0.1)
    for matrix, rate in [(np.eye(2) * np.nan, 0.1), (np.eye(2), np.inf)]:
        after = meta.observe(matrix, learning_rate=rate)
        np.testing.assert_array_equal(after, before)
        np.testing.assert_array_equal(meta.task_weights, before)


def test_state_follows_the_tasks_names():
    saved, loaded = bound(("a", "b", "c")), bound(("c", "a", "b"))
    saved(losses=[1.0, 2.0, 3.0])
    store = {}
    saved.save_own_variables(store)
    loaded.load_own_variables(store)
    np.testing.assert_array_equal(loaded.task_weights, [3.0, 1.0, 2.0])
    np.testing.assert_array_equal(loaded.total, [3.0, 1.0, 2.0])
    order = [2, 0, 1]
    expected = saved.pairs.numpy()[order][:, order]
    np.testing.assert_array_equal(loaded.pairs, expected)
    assert loaded.steps.numpy() == 1


def test_other_tasks_are_refused():
    store = {}
    saved = bound(("a", "b"))
    saved.save_own_variables(store)
    with pytest.raises(ValueError) as error:
        bound(("a", "c")).load_own_variables(store)
    assert str(error.value) == (
        "The saved Average belongs to the tasks ['a', 'b'], not to "
        "['a', 'c']. Load it into a model with the same task names."
    )
    saved.bind(2, ("a", "b"))
    with pytest.raises(ValueError) as error:
        saved.bind(3, ("a", "b", "c"))
    assert str(error.value) == (
        "Average already weighs 2 tasks ['a', 'b']; it cannot serve 3 tasks "
        "['a', 'b', 'c']. Make a new weighter."
    )


def test_the_state_of_another_weighter_is_refused():
    class Latest(Average):
        """The same shapes, another meaning."""

    store = {}
    bound(("a", "b")).save_own_variables(store)
    other = Latest()
    other.bind(2, ("a", "b"))
    before = [v.numpy() for v in other.variables]
    shapes = "[(2,), (2,), (2, 2), ()]"
    remedy = (
        "Compile the model with the weighter that the file was saved with, "
        "and train on with fit(weighter=...) for another; or pass "
        "skip_mismatch=True to load_weights()."
    )
    with pytest.raises(ValueError) as error:
        other.load_own_variables(store)
    assert str(error.value) == (
        "The file does not hold the state of this Latest. Expected: Latest "
        f"with values of shapes {shapes}. Received: Average with {shapes}. "
        + remedy
    )
    constant = weighters.Constant()
    constant.bind(2)
    with pytest.raises(ValueError, match=r"values of shapes \[\(2,\)\]\."):
        constant.load_own_variables(store)
    with pytest.raises(ValueError) as error:
        other.load_own_variables({})
    assert str(error.value) == (
        "The file does not hold the state of this Latest. Expected: Latest "
        f"with values of shapes {shapes}. Received: none. {remedy}"
    )
    for variable, value in zip(other.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_mixed_precision_does_not_reach_a_weighter():
    import keras

    keras.config.set_dtype_policy("mixed_float16")
    weights = weighters.MGDA()(gramian=[[1e6, 0.0], [0.0, 3e6]])
    assert weights.dtype == tf.float32
    np.testing.assert_allclose(weights, [0.75, 0.25], rtol=1e-6)


def test_scope_has_a_default_per_class():
    assert GradientWeighter().scope == "shared"
    assert GradientWeighter(scope="all").get_config()["scope"] == "all"
