"""Whether the rows of a batch pass a traced encoder each on its own."""

import tensorflow as tf

REDUCTIONS = ("Mean", "Sum", "Max", "Min", "Prod", "All", "Any", "Cumsum")
# What is inside these is not seen, or takes rows out of their order.
OPAQUE = (
    *("PartitionedCall", "StatefulPartitionedCall", "While", "StatelessWhile"),
    *("If", "StatelessIf", "RandomShuffle", "Unique", "Einsum", "Shuffle"),
    *("FusedBatchNormV3", "TensorListStack", "Where", "BooleanMask"),
)
# Their values do not depend on the rows, only their number may.
ROWLESS = ("Shape", "ShapeN", "Size", "Rank", "Const", "ReadVariableOp")


def rows_stay_apart(leaves) -> bool:
    """Returns whether no operation seen mixes or reorders rows.

    Args:
        leaves: List of tensors, the representation, first axis the batch.
    """
    of_rows, todo = {}, [leaf.op for leaf in leaves]
    while todo:
        op = todo.pop()
        if op.name in of_rows or op.type in ROWLESS:
            continue
        of_rows[op.name] = op
        todo.extend(tensor.op for tensor in op.inputs)
    return not any(_mixes(op) for op in of_rows.values())


def _mixes(op):
    if op.type in OPAQUE:
        return True
    if op.type in REDUCTIONS:
        axes = tf.get_static_value(op.inputs[1])
        rank = op.inputs[0].shape.rank
        if axes is None or rank is None:
            return has_rows(op.inputs[0])
        first = 0 in {int(axis) % max(rank, 1) for axis in axes.ravel()}
        return first and has_rows(op.inputs[0])
    if op.type == "Transpose":
        order = tf.get_static_value(op.inputs[1])
        moved = order is None or (order.size > 0 and order.ravel()[0] != 0)
        return bool(moved) and has_rows(op.inputs[0])
    if op.type in ("ConcatV2", "ReverseV2", "GatherV2", "Roll"):
        axis = tf.get_static_value(op.inputs[-1])
        if op.type == "GatherV2" and not has_rows(op.inputs[0]):
            return False  # A table's rows, not those of the batch.
        known = axis is not None and 0 not in axis.ravel()
        return not known and any(map(has_rows, op.inputs))
    if op.type == "MatMul":
        if op.get_attr("transpose_a"):
            return has_rows(op.inputs[0])
        return has_rows(op.inputs[1])
    return False


def has_rows(tensor) -> bool:
    """Returns whether a tensor depends on the rows of the batch."""
    seen, todo = set(), [tensor]
    while todo:
        current = todo.pop()
        op = current.op
        if op.name in seen or op.type in ROWLESS:
            continue
        seen.add(op.name)
        if not op.inputs and current.dtype != tf.resource:
            return True
        todo.extend(op.inputs)
    return False
