"""Traces graphs without what only a reader of tracebacks needs.

Tests spend most of their time on graphs that run once. TensorFlow keeps the
Python stack of every operation, a quarter of that time and half of its memory
under pytest's deep stacks, and words the refusal of a data type before it has
looked whether there is one. Operations and their values are the same.
"""

import functools
import inspect

from tensorflow.python.framework import op_def_library, ops

_CREATE, _CHECK = "_create_c_op", "_SatisfiesTypeConstraint"


def trace_lightly():
    """Makes tracing cheap in this process; names that have moved stay."""
    create = getattr(ops, _CREATE, None)
    option = "extract_traceback"
    if create and option in inspect.signature(create).parameters:
        # As operations of a loaded graph are, whose stacks no one knows.
        setattr(ops, _CREATE, functools.partial(create, **{option: False}))

    refuse = getattr(op_def_library, _CHECK, None)
    if refuse is None:
        return

    def check(dtype, attr_def, param_name):
        allowed = attr_def.allowed_values.list.type
        if allowed and dtype not in allowed:
            refuse(dtype, attr_def, param_name)

    setattr(op_def_library, _CHECK, check)
