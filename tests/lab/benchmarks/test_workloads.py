import numpy as np
import pytest
import tensorflow as tf

import keras_mtl
from keras_mtl.lab.benchmarks import workloads

TEXT = {"vocabulary_size": 30, "embedding_dim": 4, "num_filters": 3}
TINY = {
    "mlp": {"num_tasks": 3, "widths": (6, 5, 4)},
    "stacked": {"num_tasks": 3, "widths": (6, 5, 4)},
    "three_tasks": {},
    "resnet": {"size": 8, "filters": (2, 3, 4)},
    "text_cnn": {"num_tasks": 3, "num_words": 9, **TEXT},
    "experts": {"num_tasks": 3, "widths": (6, 5, 4), "num_experts": 2},
    "embedding": {"num_tasks": 3, "num_rows": 50, "dim": 4, "num_ids": 2},
}
TINY["stacked_experts"] = TINY["mmoe"] = TINY["ple"] = TINY["experts"]
TINY["ple_heads"] = TINY["ple"]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    for size in workloads.SIZES:
        monkeypatch.setitem(workloads.SIZES, size, (4, 5))


@pytest.mark.parametrize("name", workloads.WORKLOADS)
def test_trains(name):
    for make in workloads.makers(name, batch_size=4, jit_compile=False):
        work = make(**TINY[name])
        fit = work.model.fit(work.x, work.y, weighter="mgda", verbose=0)
        assert np.isfinite(fit.history["loss"]).all()
        assert fit.history["skipped_steps"] == [0]
        assert len(work.model.task_names) == 3


def test_separate_inputs_are_the_tasks_own():
    work = workloads.text_cnn(batch_size=4, **TINY["text_cnn"])
    assert work.model.is_separate(work.x)
    assert {x.shape for x in work.x.values()} == {(4, 9)}


def test_sizes_are_those_that_are_written_about():
    assert workloads.makers("mlp")[0]().x.shape == (512, 2048)
    text = workloads.makers("text_cnn")[0]()
    assert len(text.model.task_names) == 14
    table = workloads.makers("embedding", batch_size=2)[0]().model
    assert max(v.shape[0] for v in table.encoder.variables) == 200_000
    image = workloads.makers("resnet", batch_size=2)[0]()
    assert {y.shape[1:3] for y in image.y.values()} == {(32, 32)}


def test_numbers_of_tasks_make_a_workload_each():
    two = workloads.makers("mlp", (2, 3), batch_size=4)
    works = [make(widths=(6, 5, 4)) for make in two]
    assert [len(work.y) for work in works] == [2, 3]
    with pytest.raises(ValueError, match="'resnet' has a fixed number of task"):
        workloads.makers("resnet", (2, 3))


@pytest.mark.parametrize(
    "name", ["stacked", "stacked_experts", "text_cnn", "resnet"]
)
def test_plain_keras_does_the_same(name):
    work = getattr(workloads, name)(batch_size=4, **TINY[name])
    result = keras_mtl.benchmark(
        work.model,
        work.x,
        work.y,
        weighters=["slaw"],
        batch_size=4,
        repetitions=1,
        block_seconds=0.01,
        peers=work.by_hand,
    )
    names = [row.name for row in result.rows]
    by_hand = [*(work.by_hand or {})]
    assert names == ["uniform", "slaw", "plain keras", *by_hand]


def test_the_graph_of_stacked_experts_hardly_grows_with_the_tasks():
    """Of gates, mixtures, heads and gradients, none is taken task by task.

    Inner products factor, also of heads one by one: nowhere do all gradients at
    the experts stand.
    """
    numbers = []
    for make, num_tasks in (
        (workloads.stacked_experts, 3),
        (workloads.stacked_experts, 9),
        (workloads.experts, 3),
    ):
        sizes = {**TINY["experts"], "num_tasks": num_tasks}
        model, x, y = make(**sizes, batch_size=5, jit_compile=False)[1:4]
        model.compile("sgd", model.task_losses.loss, weighter="mgda")
        model.train_on_batch(x, y)
        step = tf.function(model.train_step, autograph=False)
        graph = step.get_concrete_function((x, y, None)).graph
        operations = graph.get_operations()
        numbers.append(len(operations))
        shapes = {
            tuple(o.shape)
            for op in operations
            for o in op.outputs
            if o.shape.rank
        }
        assert (5, num_tasks, 2) in shapes
        assert not shapes & {(num_tasks, 5, 2, 4), (5, num_tasks, 2, 4)}
    assert numbers[1] == numbers[0]
