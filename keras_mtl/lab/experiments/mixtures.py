"""Encoders of recommenders, made about equally large."""

import keras

from keras_mtl.architectures import PLE, CrossStitch, Level, MMoE

ARCHITECTURES = ("shared_bottom", "mmoe", "ple", "cross_stitch")
# Experts of MMoE, each as large as the shared bottom.
AROUND = 4


def encoder(
    architecture,
    tasks,
    num_inputs,
    num_experts=8,
    units=16,
    tower=8,
    bottom=None,
):
    """Returns an encoder of experts, or one layer of the same size.

    The bank of MMoE has `num_experts` experts. PLE is one level with as many:
    two of each task (fewer where there are too few), the others shared. The
    shared bottom is one layer, wide enough to have as many parameters as MMoE,
    heads included; cross-stitch, a layer for each task, with a unit after it.

    Args:
        architecture: String, one of `ARCHITECTURES`.
        tasks: List of names.
        num_inputs: Integer, D, width of what the experts read.
        num_experts: Integer, E.
        units: Integer, U, of each expert.
        tower: Integer, units of the first layer of each head.
        bottom: Layer or model below, without parameters, or None.

    Returns:
        Layer or `TaskEncoder`.
    """
    expert = keras.layers.Dense(units, activation="relu")
    if architecture == "mmoe":
        return MMoE(tasks, expert, num_experts, bottom=bottom)
    if architecture == "ple":
        own = min(2, (num_experts - 1) // len(tasks))
        level = Level(expert, own, num_experts - own * len(tasks))
        return PLE(tasks, [level], bottom=bottom)
    width = equal_width(
        architecture, len(tasks), num_inputs, num_experts, units, tower
    )
    if architecture == "cross_stitch":
        block = keras.layers.Dense(width, activation="relu")
        return CrossStitch(tasks, [block], last=True, bottom=bottom)
    shared = keras.layers.Dense(width, activation="relu", name="shared_bottom")
    if bottom is None:
        return shared
    return keras.Model(bottom.inputs, shared(bottom.output), name="encoder")


def around(architecture, tasks, blocks, bottom=None):
    """Returns an encoder whose experts or towers are the shared bottom's kind.

    They are as large as it is, so that the whole is larger: MMoE has four
    experts; PLE, in one level, one of each task and a shared one; cross-stitch
    a tower for each task, with a unit after each block.

    Args:
        architecture: String, one of `ARCHITECTURES`.
        tasks: List of names.
        blocks: List of layers, not built: the shared bottom, one after the
            other.
        bottom: Layer or model below, which all share, or None.

    Returns:
        Layer, model or `TaskEncoder`.
    """
    if architecture == "cross_stitch":
        return CrossStitch(tasks, blocks, last=True, bottom=bottom)
    whole = blocks[0] if len(blocks) == 1 else keras.Sequential(blocks)
    if architecture == "mmoe":
        return MMoE(tasks, whole, AROUND, bottom=bottom)
    if architecture == "ple":
        return PLE(tasks, [Level(whole)], bottom=bottom)
    parts = blocks if bottom is None else [bottom, *blocks]
    return keras.Sequential(parts, name="encoder")


def equal_width(architecture, num_tasks, num_inputs, num_experts, units, tower):
    """Returns the width at which an encoder is as large as MMoE.

    Bank and gates have `(D + 1) E (U + K)` parameters and the heads' first
    layers `K U T`; a bottom of width H has `(D + 1) H` and `K H T`, and
    cross-stitch K of these layers and `K² H` of its units.
    """
    experts = (num_inputs + 1) * num_experts * (units + num_tasks)
    heads = num_tasks * tower
    bottom = num_inputs + 1
    if architecture == "cross_stitch":
        bottom = num_tasks * (bottom + num_tasks)
    return round((experts + heads * units) / (bottom + heads))


def head(task, tower, activation=None):
    """Returns a layer of `tower` units and an output of one."""
    return keras.Sequential(
        [
            keras.layers.Dense(tower, activation="relu"),
            keras.layers.Dense(1, activation=activation),
        ],
        name=task,
    )
