"""A level of experts that are one bank, which all gates mix in one product."""

from typing import Any

from keras import ops

from keras_mtl.architectures.experts import check_one_shape
from keras_mtl.architectures.mmoe import mixture


class Columns:
    """Whose experts a bank has, one task's after the other's, then shared ones.

    Args:
        counts: Dict from task name to the number of its own experts.
    """

    def __init__(self, counts: dict):
        self.counts = counts
        self.owners = [task for task, n in counts.items() for _ in range(n)]

    def before(self, task) -> int:
        """Returns how many experts there are before a task's own."""
        tasks = [*self.counts]
        return sum(self.counts[t] for t in tasks[: tasks.index(task)])

    def widened(self, task, weights):
        """Returns a task's weights, 0 for the experts of other tasks.

        Args:
            task: String.
            weights: `(B, e)`, of its own experts and the shared ones.

        Returns:
            `(B, E)`.
        """
        before, own = self.before(task), self.counts[task]
        after = len(self.owners) - before - own
        mine, shared = parted(weights, own, axis=1)
        mine = ops.pad(mine, [[0, 0], [before, after]])
        return ops.concatenate([mine, shared], axis=1)

    def trained(self, task, num_experts) -> list:
        """Returns 1.0 for each expert that a task's loss trains, else 0.0.

        Args:
            task: String, or `None` for the shared stream, which trains all.
            num_experts: Integer, E.
        """
        shared = [None] * (num_experts - len(self.owners))
        return [
            float(task is None or owner in (task, None))
            for owner in [*self.owners, *shared]
        ]


def mixtures(weights, bank, trained=None) -> list:
    """Returns each stream's mixture, `(B, ..., U)`.

    Args:
        weights: List of `(B, E)` weights, one for each stream.
        bank: `(B, E, ..., U)`.
        trained: List of as many lists of 1.0 or 0.0, which experts a stream's
            gradient goes on to; all of them by default.
    """
    stacked: Any = ops.stack(weights, axis=1)
    if trained is None:
        mixed = mixture(stacked, bank)
    else:
        mask: Any = ops.convert_to_tensor(trained, stacked.dtype)
        others = mixture(stacked * (1.0 - mask), ops.stop_gradient(bank))
        mixed = ops.add(mixture(stacked * mask, bank), others)
    found: Any = ops.unstack(mixed, axis=1)
    return found


def parted(tensor, place, axis) -> Any:
    """Returns what is before a place, and what follows.

    Gradients of slices would be padded, each to the whole, and added up.
    """
    return ops.split(tensor, [place], axis=axis)


def mixture_of_parts(weights, banks: list):
    """Returns a mixture of several banks, of two as the sum of one of each.

    Each bank is then read by a product alone, which tells gradients at the cut.

    Args:
        weights: `(B, E)`, or `(B, K, E)`, of all experts.
        banks: List of `(B, e, ..., U)`, E experts together.

    Raises:
        ValueError: If their experts return several shapes.
    """
    check_one_shape([tuple(bank.shape[2:]) for bank in banks])
    if len(banks) > 2:  # Those of many tasks.
        joined: Any = ops.concatenate(banks, axis=1)
        banks = [joined]
    if len(banks) == 1:
        return mixture(weights, *banks)
    first, last = banks
    of_first, of_last = parted(weights, first.shape[1], axis=-1)
    return ops.add(mixture(of_first, first), mixture(of_last, last))


def expert_names(counts, num_shared) -> list:
    """Returns a name for each expert of a bank, in its order.

    Args:
        counts: Dict from task name to the number of its own experts; the name
            may be empty.
        num_shared: Integer.
    """
    own = [
        "_".join(filter(None, ("own", task, str(number))))
        for task, count in counts.items()
        for number in range(count)
    ]
    return [*own, *(f"shared_{number}" for number in range(num_shared))]
