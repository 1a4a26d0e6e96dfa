"""Which parts of the cut, and of variables, serve one task alone."""

import numpy as np

from keras_mtl.gradients.slices import Part, overlap
from keras_mtl.tasks.own_rows import Owners


def read_by_one(reads, tasks, num_leaves) -> list:
    """Returns for each leaf its `Owners` if one task alone reads it, or `None`.

    Args:
        reads: Dict from task to the set of numbers of the leaves it reads.
        tasks: List of the tasks, in the order of their losses.
        num_leaves: Integer.
    """
    readers = [[] for _ in range(num_leaves)]
    for task, leaves in reads.items():
        for number in leaves:
            readers[number].append(tasks.index(task))
    return [
        Owners(np.array(found, "int32"), None) if len(found) == 1 else None
        for found in readers
    ]


def read_by_part(output, ancestry, cut, shapes, num_tasks):
    """Returns the same of stacked tasks, and which variables several read.

    Args:
        output: `(B, K, ...)` tensor, the predictions.
        ancestry: `Ancestry`.
        cut: Tuple of lists of tensors, as computed and severed.
        shapes: List of tuples, those of the leaves.
        num_tasks: Integer, K.

    Returns:
        List of `Owners` or `None`, and a frozenset of variables, by `id`, of
        which several tasks read the same part.
    """
    tensors, copies = cut
    stops = {copy.name: number for number, copy in enumerate(copies)}
    found = [
        ancestry.of([output], stops, Part(1, task, task + 1))
        for task in range(num_tasks)
    ]
    reads = [
        {stops[name]: parts for name, parts in mine.stopped.items()}
        for mine in found
    ]
    owners = [
        _owners([mine.get(number) for mine in reads], shape)
        for number, shape in enumerate(shapes)
    ]
    several, earlier = set(), {}
    for number, of_leaf in enumerate(owners):
        if of_leaf is None and any(number in mine for mine in reads):
            several |= ancestry.of([tensors[number]]).variables
    for above, mine in zip(found, reads, strict=True):
        walks = [above]
        walks += [
            ancestry.of([tensors[number]], part=part)
            for number, parts in mine.items()
            if owners[number] is not None
            for part in parts
        ]
        of_task = {}
        for walk in walks:
            for variable, parts in walk.parts.items():
                of_task.setdefault(variable, set()).update(parts)
        for variable, parts in of_task.items():
            others = earlier.setdefault(variable, [])
            if any(overlap(a, b) for a in parts for b in others):
                several.add(variable)
            others += parts
    return owners, frozenset(several)


def _owners(parts, shape):
    """Returns the `Owners` of a leaf, `None` where tasks share a part of it.

    Args:
        parts: List of K sets of the parts that the tasks read, or `None`.
        shape: Tuple, that of the leaf.
    """
    readers = [task for task, mine in enumerate(parts) if mine]
    if len(readers) == 1:
        return Owners(np.array(readers, "int32"), None)
    every = [part for task in readers for part in parts[task]]
    axes = {None if part is None else part.axis for part in every}
    if len(axes) != 1 or None in axes:
        return None
    (axis,) = axes
    if shape[axis] is None:
        return None
    tasks = np.full(shape[axis], -1, "int32")
    for task in readers:
        for part in parts[task]:
            mine = tasks[part.start : part.stop]
            if np.any((mine != -1) & (mine != task)):
                return None
            mine[:] = task
    return Owners(np.maximum(tasks, 0), axis)
