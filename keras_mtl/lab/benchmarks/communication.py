"""What a weighter has the replicas sum up."""

import math

import keras
import numpy as np

from keras_mtl import compat
from keras_mtl.gradients import roles
from keras_mtl.gradients.sizes import scope_sizes
from keras_mtl.lab.benchmarks.declaration import declaration
from keras_mtl.signals import SIGNALS

BYTES = 4


def reduced_bytes(model, inputs) -> int:
    """Returns the bytes that each replica adds to sums over replicas.

    Per step and beyond the sum of the gradients that an update takes anyhow.
    With K tasks, in numbers of four bytes, by what the weighter measures:

    - sums and counts of the losses, the number of rows and the layers' own
      losses: `2K + 2` for each forward pass (a query batch takes a second one,
      and so does the batch itself at the new parameters);
    - one for each trained variable: whether its gradient is finite;
    - `gramian` or `query_support_gramian` of representations, whose rows stay
      on their replica: `K²`; `gradient_norms` of them: `K`;
    - any of these of variables: every task's gradient, that is K times the
      variables of the scope; each head's variables, at the scope `"all"`,
      only once. For `query_support_gramian` twice, of support and query batch;
    - the variables that the weighter itself trains.

    A table of embeddings counts with the rows that a task reads, repeated ones
    too, and their indices.

    Args:
        model: Built and compiled `MultiTaskModel`.
        inputs: Inputs of one replica's batch.
    """
    num_tasks = len(model.task_names)
    common = model.has_common_representation(inputs)
    declared = declaration(model.weighter, common)
    numbers = declared.forward_passes * (2 * num_tasks + 2)
    numbers += sum(map(_size, model.weighter.trainable_variables))
    numbers += len(model.trainable_variables)
    for name in declared.gradients:
        if declared.scope == "representation":
            sizes = scope_sizes(model, model.weighter)
            numbers += math.prod(SIGNALS[name].shape(num_tasks, sizes))
        else:
            batches = len(SIGNALS[name].batches)
            numbers += batches * _task_gradients(model, inputs, declared.scope)
    return BYTES * numbers


def num_sums(declared) -> int:
    """Returns how many sums over replicas these bytes are sent in.

    One for the totals of each batch, one for whether gradients are finite, and
    one for each signal of gradients, whatever the number of tasks. The totals
    of a second batch go with the gradients, where there are any.

    Args:
        declared: `Declaration` of the weighter.
    """
    batches = 1 if declared.gradients else declared.forward_passes
    return batches + 1 + len(declared.gradients)


def _task_gradients(model, inputs, scope):
    """Returns the size of the gradients of all tasks."""
    num_tasks = len(model.task_names)
    once = 1 if model.is_separate(inputs) else num_tasks
    reads = once * sum(
        array.size
        for array in map(np.asarray, keras.tree.flatten(inputs))
        if np.issubdtype(array.dtype, np.integer)
    )
    tables = {
        id(layer.embeddings)
        for layer in compat.layers_within(model)
        if isinstance(layer, keras.layers.Embedding)
    }
    heads = {id(v) for v in roles.head_variables(model)}
    numbers = 0
    for variable in roles.scope_variables(model, scope):
        if id(variable) in tables:
            numbers += reads * (variable.shape[1] + 1)
        else:
            copies = 1 if id(variable) in heads else num_tasks
            numbers += copies * _size(variable)
    return numbers


def _size(variable):
    return math.prod(variable.shape)
