import keras
import pytest

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.architectures import SharedPrivate
from keras_mtl.lab.benchmarks import workloads
from keras_mtl.lab.benchmarks.communication import reduced_bytes
from keras_mtl.lab.benchmarks.rows import Blueprint

# 6 inputs, 5 and 4 units, 2 heads: with biases.
LAST = 5 * 4 + 4
SHARED = 6 * 5 + 5 + LAST
HEADS = 2 * (4 + 1)
# Sums and counts, rows and layers' losses; and whether each of the eight
# variables' gradients is finite.
LOSSES, FINITE = 2 * 2 + 2, 8
TOTALS = LOSSES + FINITE


def bytes_of(work, weighter):
    config = weighters.serialize(weighters.get(weighter))
    model = Blueprint.of(work.model, None).model(config)
    model.fit(
        work.x,
        work.y,
        verbose=0,
        **({"query_data": (work.x, work.y)} if "meta" in weighter else {}),
    )
    return reduced_bytes(model, work.x)


@pytest.mark.parametrize(
    ("weighter", "numbers"),
    [
        ("uniform", TOTALS),
        ("slaw", TOTALS),
        ("uncertainty", TOTALS + 2 + 1),
        ("mgda", TOTALS + 2 * 2),
        ("gradnorm", TOTALS + 2 * LAST),
        ("pcgrad", TOTALS + 2 * SHARED),
        ("meta_weighting", TOTALS + LOSSES + 2 * (2 * SHARED + HEADS)),
    ],
)
def test_numbers_follow_from_signals_and_scope(weighter, numbers):
    work = workloads.mlp(2, 8, widths=(6, 5, 4))
    assert bytes_of(work, weighter) == 4 * numbers


def test_encoders_of_tasks_are_read_at_their_cut():
    """What tasks share leaves the encoder there: a Gramian of 2 x 2."""
    work = workloads.mlp(2, 8, widths=(6, 5, 4))
    private = {
        task: keras.models.clone_model(work.model.encoder)
        for task in work.model.task_names
    }
    encoder = SharedPrivate(work.model.encoder, private)
    heads = {task: keras.layers.Dense(1) for task in private}
    model = MultiTaskModel(encoder, heads)
    model.compile("sgd", loss="mse", weighter="mgda")
    model.fit(work.x, work.y, verbose=0)
    # Three encoders of four variables, and two heads of two.
    assert reduced_bytes(model, work.x) == 4 * (LOSSES + 16 + 2 * 2)


def test_a_table_counts_with_the_rows_that_are_read():
    work = workloads.embedding(2, 3, num_rows=1000, dim=4, num_ids=5)
    dense = 4 * 128 + 128
    # 3 * 5 ids for each task, with a row of 4 and an index.
    expected = LOSSES + 7 + 2 * (dense + 3 * 5 * (4 + 1))
    assert bytes_of(work, "pcgrad") == 4 * expected


def test_with_separate_inputs_a_task_reads_its_own_rows():
    sizes = {"vocabulary_size": 50, "embedding_dim": 4, "num_filters": 3}
    work = workloads.text_cnn(2, 3, num_words=6, kernel_sizes=(2,), **sizes)
    filters = 2 * 4 * 3 + 3
    expected = LOSSES + 7 + 2 * filters + 2 * 3 * 6 * (4 + 1)
    assert bytes_of(work, "pcgrad") == 4 * expected
