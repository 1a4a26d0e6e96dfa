"""Which uses of variables the losses reach, and of what kind they are."""

from typing import Any, NamedTuple

from keras_mtl.gradients.uses import Use


class Candidate(NamedTuple):
    """A variable that the losses reach, for the choice of a cheap form.

    Args:
        variable: `keras.Variable`.
        uses: List of `Use`.
        kind: `"product"` or `"lookup"` where all uses are alike, or `None`.
        is_above: Boolean. Whether the losses reach a use other than through
            the representation.
        is_summable: Boolean. Whether the gradients at the outputs of the uses
            make up that of the variable.
    """

    variable: Any
    uses: list[Use]
    kind: str | None
    is_above: bool
    is_summable: bool = False


def candidates(variables, uses, leaves, losses):
    """Returns what the losses reach of the variables.

    Uses that they do not depend on, a regulariser's say, are left out; but a
    product or lookup without a gradient is one whose gradient is hidden, as by
    `tf.recompute_grad`.

    Args:
        variables: List of `keras.Variable`.
        uses: `Uses` of them.
        leaves: List of tensors, the representation.
        losses: `LocalLosses`.

    Returns:
        List of `Candidate`, and the names of outputs of uses that the losses
        reach other than through the representation.
    """
    noted = {id(v): uses.of(v) for v in variables}
    outputs = [
        use.output
        for found in noted.values()
        for use in found
        if use.output is not None
    ]
    values = [v.value for v in variables]
    pulled = losses.tape.gradient(leaves, [*outputs, *values])
    below = _with_gradient(outputs, pulled[: len(outputs)])
    read_below = [g is not None for g in pulled[len(outputs) :]]
    above = _with_gradient(outputs, losses.of_sum(outputs)) - below
    found = []
    for variable, is_below in zip(variables, read_below, strict=True):
        mine = noted[id(variable)]
        names = {use.output.name for use in mine if use.output is not None}
        if not is_below and not names & above:
            continue
        live = [
            use
            for use in mine
            if use.output is None
            or use.output.name in below | above
            or use.kind != "other"
        ]
        alike = len({(use.kind, use.layout) for use in live}) == 1
        hidden = any(
            use.output is None or use.output.name not in below | above
            for use in live
        )
        kind = live[0].kind if alike and not hidden else None
        kind = None if kind == "other" else kind
        summable = not hidden and _apart(live)
        is_above = bool(names & above)
        found.append(Candidate(variable, live, kind, is_above, summable))
    return found, above


def _apart(uses):
    """Whether nothing is read once, and multiplied and used otherwise."""
    others = {use.output.name for use in uses if use.kind == "other"}
    known = [
        use for use in uses if use.kind != "other" and use.read is not None
    ]
    return not any(use.read.name in others for use in known)


def _with_gradient(outputs, gradients):
    """Returns the names of the outputs that have a gradient."""
    pairs = zip(outputs, gradients, strict=True)
    return {output.name for output, gradient in pairs if gradient is not None}
