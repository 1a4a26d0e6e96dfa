"""Traces graphs without what only a reader of tracebacks needs.

Tests spend most of their time on graphs that run once. TensorFlow keeps the
Python stack of every operation, a third of that time and half of its memory
under pytest's deep stacks, and words the refusal of a data type before it has
looked whether there is one. Operations and their values are the same.
"""

from tensorflow.python.framework import op_def_library
from tensorflow.python.util import tf_stack

_CHECK = "_SatisfiesTypeConstraint"


def trace_lightly():
    """Makes tracing cheap in this process; names that have moved stay."""
    stack = tf_stack.extract_stack()
    tf_stack.extract_stack = lambda stacklevel=1: stack

    refuse = getattr(op_def_library, _CHECK, None)
    if refuse is None:
        return

    def check(dtype, attr_def, param_name):
        allowed = attr_def.allowed_values.list.type
        if allowed and dtype not in allowed:
            refuse(dtype, attr_def, param_name)

    setattr(op_def_library, _CHECK, check)
