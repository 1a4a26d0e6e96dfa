"""How a traced forward pass uses its variables, read off the graph."""

from typing import NamedTuple

import tensorflow as tf

# What may stand between a variable and the operation that uses it.
VIEWS = ("ReadVariableOp", "Cast", "Identity", "ExpandDims", "Reshape")


class Use(NamedTuple):
    """One operation that a variable takes part in.

    Args:
        kind: `"product"` (rows times a matrix), `"lookup"` (rows of a table)
            or `"other"`.
        inputs: Tensor, the other operand: rows, or indices. `None` for
            `"other"`.
        output: Tensor, what the operation returns; its gradient and `inputs`
            give that of the variable. For `"other"`, the variable as it was
            read, or `None` if the operation reads it itself.
    """

    kind: str
    inputs: tf.Tensor | None
    output: tf.Tensor | None


class Uses:
    """Notes which operations of a forward pass use which variable.

    Make it before the forward pass and ask after it, before any backward pass.

    Args:
        variables: List of `keras.Variable`.

    Raises:
        ValueError: Outside a graph, where operations leave no trace.
    """

    def __init__(self, variables):
        graph = tf.compat.v1.get_default_graph()
        self._handles = {
            id(v): graph.capture(v.value.handle) for v in variables
        }
        self._earlier = {
            id(v): {op.name for op in self._handles[id(v)].consumers()}
            for v in variables
        }

    def of(self, variable) -> list[Use]:
        """Returns the uses of one of the variables."""
        earlier = self._earlier[id(variable)]
        found = []
        for op in self._handles[id(variable)].consumers():
            if op.name not in earlier:
                found += _follow(op)
        return found


def products_of(rows) -> dict[str, tf.Operation] | None:
    """Returns the products that a tensor of rows enters, by name.

    Returns:
        Dict from the name of the product's output to the operation, whose
        second input is the matrix; `None` if anything else reads the rows.
    """
    found = {}
    for op in rows.consumers():
        if op.type in ("Cast", "Identity"):
            further = products_of(op.outputs[0])
            if further is None:
                return None
            found |= further
        elif _is_product(op) and op.inputs[0] is rows:
            found[op.outputs[0].name] = op
        else:
            return None
    return found


def _follow(op, read=None):
    """Returns the uses of what `op` reads or views."""
    if op.type == "ResourceGather" and op.get_attr("batch_dims") == 0:
        return [Use("lookup", op.inputs[1], op.outputs[0])]
    if op.type not in VIEWS:
        return [Use("other", None, read)]
    (view,) = op.outputs
    read = view if op.type == "ReadVariableOp" else read
    found = []
    for consumer in view.consumers():
        if consumer.type in VIEWS and consumer.inputs[0] is view:
            found += _follow(consumer, read)
        elif _is_product(consumer) and consumer.inputs[1] is view:
            found.append(
                Use("product", consumer.inputs[0], consumer.outputs[0])
            )
        elif _is_lookup(consumer) and consumer.inputs[0] is view:
            found.append(Use("lookup", consumer.inputs[1], consumer.outputs[0]))
        else:
            found.append(Use("other", None, read))
    return found


def _is_product(op):
    flags = {"MatMul": "transpose", "BatchMatMulV2": "adj"}
    flag = flags.get(op.type)
    if flag is None or op.inputs[1].shape.rank != 2:
        return False
    sides = ("a", "b") if flag == "transpose" else ("x", "y")
    return not any(op.get_attr(f"{flag}_{side}") for side in sides)


def _is_lookup(op):
    if op.type != "GatherV2" or op.get_attr("batch_dims"):
        return False
    return tf.get_static_value(op.inputs[2]) == 0
