"""Which variables the tasks share, and which belong to one of them."""

import functools

from keras_mtl import compat
from keras_mtl.checks import did_you_mean
from keras_mtl.gradients.reach import trace_reach


class Roles:
    """What each trainable variable of a model is to its tasks.

    A unit is a task, or all stacked tasks together.

    Args:
        model: A built `MultiTaskModel`.
        key: What these roles hold for: tasks and trainable variables.

    Attributes:
        reach: `Reach` of the model.
        variables: List of all trainable variables but weighter's and
            discriminator's.
        shared: Those that serve more than one task, or none that is known.
            With a single unit, all that lead to the cut.
        own: The rest.
        trunk: Those that lead to the outputs through the cut alone.
        by_unit: List of lists: for each unit, its own variables that lead to
            its output from the cut alone.
    """

    def __init__(self, model, key):
        self.key = key
        self.variables = _task_variables(model)
        self.reach = reach = trace_reach(model)
        owners, below = reach.owners(), reach.all_below()
        alone = len(reach.above) == 1
        above = set().union(*reach.above.values())

        encoder = model.section.below if model.graph else model.encoder
        of_encoder = {id(v) for v in encoder.trainable_variables}

        def is_shared(key):
            units = owners.get(key, ())
            if not units:  # As of a head without a loss, or a regulariser.
                return key in of_encoder
            if stacked:
                return key in reach.several and key not in columns
            return len(units) > 1 or (alone and key in reach.all_below())

        heads = [*model.arrangement.head_layers.values()]
        columns, stacked = set(), len(heads) < len(model.task_names)
        if stacked:
            # Of stacked tasks, the variables that have a slice for each.
            sliced = [*heads, *getattr(model.encoder, "stacked_layers", ())]
            columns = {id(v) for layer in sliced for v in layer.variables}
            below = below | above - columns
        self._shared = {id(v) for v in self.variables if is_shared(id(v))}
        self.shared = [v for v in self.variables if id(v) in self._shared]
        self.own = [v for v in self.variables if id(v) not in self._shared]
        self.trunk = [v for v in self.variables if id(v) in below - above]
        self.by_unit = [
            [v for v in self.own if id(v) in mine and id(v) not in below]
            for mine in reach.above.values()
        ]
        self._owners = owners

    def owners(self, key) -> set:
        """Returns the units whose outputs follow from a variable, by `id`."""
        return self._owners.get(key, set())

    @functools.cached_property
    def has_representation(self) -> bool:
        """Whether there are tensors that all tasks' gradients pass."""
        return self.reach.lowest is not None

    def last_shared_layer(self, model) -> list[set]:
        """Returns for each unit the last shared layer that it reaches.

        Each is a set of variables, by `id`.
        """
        reach = self.reach
        siblings = _siblings(model)
        found = []
        for unit, last in reach.last.items():
            reached = {v for v, us in self._owners.items() if unit in us}
            last = reach.last_of_all if reach.last_of_all & reached else last
            whole = set(last).union(*(siblings[v] for v in last))
            found.append(whole & self._shared)
        return found


def of(model) -> Roles:
    """Returns the `Roles` of a model as it is built and trainable now."""
    key = (*model.task_names, *map(id, model.trainable_variables))
    if model.known_roles is None or model.known_roles.key != key:
        model.known_roles = Roles(model, key)
    return model.known_roles


def task_variables(model) -> list:
    """Returns all trainable variables but weighter's and discriminator's."""
    return _task_variables(model)


def shared_variables(model) -> list:
    """Returns the trainable variables that serve more than one task.

    With one task, these are the encoder's.
    """
    return of(model).shared


def head_variables(model) -> list:
    """Returns the trainable variables that serve one task only."""
    return of(model).own


def scope_variables(model, scope) -> list:
    """Returns the variables whose gradients a `scope` asks for.

    Args:
        model: A built `MultiTaskModel`.
        scope: `"last_shared_layer"`, `"shared"`, `"all"`, the name of a layer
            or a tuple of them.

    Returns:
        List of trainable variables.

    Raises:
        ValueError: If there are none.
    """
    roles = of(model)
    if scope == "all":
        variables = roles.variables
    elif scope == "shared":
        variables = roles.shared
    elif scope == "representation":
        variables = roles.trunk
    else:
        wanted = set().union(*task_scopes(model, scope))
        variables = [v for v in roles.variables if id(v) in wanted]
    if not variables:
        raise ValueError(
            f"{type(model.weighter).__name__} needs gradients of the scope "
            f"{scope!r}, but the model has no trainable variables there. "
            "Unfreeze the encoder, or use a weighter that reads losses only."
        )
    return variables


def task_scopes(model, scope) -> list[set]:
    """Returns for each unit the variables that it is measured at.

    Args:
        model: A built `MultiTaskModel`.
        scope: As in `scope_variables`.

    Returns:
        List of sets of variables, by `id`; all the same where every task
        reaches what is asked for, and all empty for whole roles.
    """
    roles = of(model)
    if scope in ("shared", "all"):
        return [set()] * len(roles.by_unit)
    if scope == "last_shared_layer":
        return roles.last_shared_layer(model)
    layers = {layer.name: layer for layer in compat.layers_within(model)}
    names = (scope,) if isinstance(scope, str) else scope
    for name in names:
        if name not in layers:
            raise ValueError(
                f"The scope {name!r} is neither one of {list(SCOPES)} nor the "
                f"name of a layer.{did_you_mean(name, [*SCOPES, *layers])} "
                "model.encoder.summary(expand_nested=True) shows the names."
            )
    found = {id(v) for n in names for v in layers[n].trainable_variables}
    return [found] * len(roles.by_unit)


SCOPES = ("representation", "last_shared_layer", "shared", "all")


def check_reach(model):
    """Raises if a task's loss could not train anything, or not the encoder.

    Frozen variables count, as they may train later.

    Args:
        model: A built `MultiTaskModel`.

    Raises:
        ValueError: If a task's output depends on no variable, or not on the
            encoder where one is declared; no weight could ever act on the
            shared variables through it.
    """
    reach = of(model).reach
    for unit, leaves in reach.reads.items():
        if unit not in model.task_names:
            continue
        if unit not in reach.follows:
            raise ValueError(
                f"The loss of task {unit!r} can train nothing: no variable of "
                "the model leads to its output with a gradient, which ends at "
                "stop_gradient, at integers and where values are rounded. "
                "Connect the output, or compile without a loss for it: it is "
                "then predicted and exported only."
            )
        if model.is_cut_declared and not leaves:
            raise ValueError(unreached(unit, "representation"))


def tasks_apart(model, scope) -> list[bool]:
    """Returns for each task whether it reaches nothing that a scope holds.

    Args:
        model: A built `MultiTaskModel`.
        scope: As in `scope_variables`.

    Raises:
        ValueError: If the scope names layers that fewer than two of several
            tasks reach.
    """
    roles = of(model)
    units = roles.reach.reads
    if len(units) < 2:  # A single task, or all stacked.
        return [False] * len(model.task_names)
    if scope == "representation":
        below = roles.reach.shared_below()
        return [not any(below[n] for n in units[u]) for u in units]
    wanted = {id(v) for v in scope_variables(model, scope)}
    found = []
    for unit, mine in zip(units, task_scopes(model, scope), strict=True):
        measured = wanted & mine if mine else wanted
        found.append(not any(unit in roles.owners(v) for v in measured))
    if found.count(False) < 2 and scope not in SCOPES:
        reached = [
            t for t, is_apart in zip(units, found, strict=True) if not is_apart
        ]
        raise ValueError(
            f"The scope {scope!r} separates nothing: the tasks that reach it "
            f"are {reached}. Name a layer that several tasks reach."
        )
    return found


def check_representation(model):
    """Raises if there is no representation that all tasks start from.

    Raises:
        ValueError: With what to do about it.
    """
    if of(model).has_representation:
        return
    raise ValueError(
        f"{type(model.weighter).__name__} needs gradients of the "
        "representation, but no tensors of the model lead from trainable "
        'layers to every task. Pass scope="shared" to the weighter.'
    )


def check_cut(model):
    """Raises if nothing says where the tasks part.

    Raises:
        ValueError: With what to do about it.
    """
    if not any(of(model).reach.below):
        raise ValueError(
            f"{type(model.weighter).__name__} needs gradients where the tasks "
            "part, and the encoder does not say where. Define shared(inputs) "
            "and own(task, cut, inputs) in it, or use another weighter."
        )


def unreached(task, scope) -> str:
    """Returns the message for a head without a gradient at `scope`."""
    return (
        f"The head of task {task!r} does not reach the "
        f"{str(scope).replace('_', ' ')}: its loss has no gradient there. "
        "Connect the head to the encoder's output."
    )


def _task_variables(model):
    others = filter(None, [model.weighter, model.discriminator])
    not_mine = {id(v) for layer in others for v in layer.trainable_variables}
    return [v for v in model.trainable_variables if id(v) not in not_mine]


def _siblings(model):
    """Returns a dict from variable to all those of its layer, by `id`."""
    return {
        id(variable): {id(v) for v in compat.own_trainable(layer)}
        for layer in compat.layers_within(model)
        for variable in compat.own_trainable(layer)
    }
