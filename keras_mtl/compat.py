"""Whatever this package uses of Keras and TensorFlow that is not public.

A minor release may move any of it. `tests/test_compat.py` says of each what it
must do, and so what breaks; no other file names a module of `keras.src` or a
private attribute of an object that is not its own. What Keras offers no way to
but overriding (`_make_function` and the like) is listed in CONTRIBUTING.md.
"""

from typing import Any

from keras.src import backend as _backend
from keras.src.backend.common import global_state as _global_state
from keras.src.metrics import confusion_metrics as _confusion
from keras.src.metrics import iou_metrics as _iou
from keras.src.saving import saving_lib as _saving_lib
from keras.src.saving import serialization_lib as _serialization
from keras.src.trainers import compile_utils as _compiling
from keras.src.trainers import data_adapters as _adapters
from keras.src.trainers.data_adapters import data_adapter as _adapter
from keras.src.trainers.data_adapters import data_adapter_utils as _adapting
from keras.src.utils import naming as _naming
from keras.src.utils import tracking as _tracking

# What a string like "accuracy" means for a prediction and its labels.
get_loss = _compiling.get_loss
get_metric = _compiling.get_metric
MetricsList = _compiling.MetricsList
CompileMetrics = _compiling.CompileMetrics
to_snake_case = _naming.to_snake_case
# Families of metrics that see single entries of a prediction.
SensitivitySpecificityBase = _confusion.SensitivitySpecificityBase
ConditionCount = _confusion._ConfusionMatrixConditionCount
IoUBase = _iou._IoUBase
# How `fit` reads what is neither arrays nor tf.data.
DataAdapter = _adapter.DataAdapter
get_data_adapter = _adapters.get_data_adapter
get_tensor_spec = _adapting.get_tensor_spec
is_grain_dataset = _adapters.is_grain_dataset
is_torch_dataloader = _adapters.is_torch_dataloader
# How files know an object that stands in them twice.
ObjectSharingScope = _serialization.ObjectSharingScope
get_shared_object = _serialization.get_shared_object
load_weights_only = _saving_lib.load_weights_only
no_automatic_dependency_tracking = _tracking.no_automatic_dependency_tracking
compute_output_spec = _backend.compute_output_spec


def weights_store(file, archive=None):
    """Opens stored weights to be read.

    Args:
        file: Path of a `.weights.h5` file, or None for that of an archive.
        archive: `zipfile.ZipFile` of a `.keras` file.
    """
    name = _saving_lib._VARS_FNAME_H5 if file is None else file
    return _saving_lib.H5IOStore(name, archive=archive, mode="r")


def is_scope_open(name) -> bool:
    """Whether Keras is inside a scope that keeps a global of this name."""
    return _global_state.get_global_attribute(name) is not None


def builds_by_call(method):
    """Marks a `build` as one before which Keras calls the layer.

    As Keras' own is; others are to build all layers themselves.
    """
    method._is_default = True
    return method


def layers_within(layer) -> list:
    """Returns a layer and all layers inside it, each once."""
    return list(layer._flatten_layers())


def own_trainable(layer) -> list:
    """Returns the layer's own trainable variables, without inner layers'.

    Frozen ones are among them.
    """
    return layer._trainable_variables


def own_non_trainable(layer) -> list:
    """Returns the layer's own states, without inner layers'."""
    return layer._non_trainable_variables


def own_variables(layer) -> list:
    """Returns all of the layer's own variables, without inner layers'."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def seed_generators(layer) -> list:
    """Returns the layer's own seed generators, without inner layers'."""
    return layer._seed_generators


def track_variable(layer, variable):
    """Makes a variable one of the layer's."""
    layer._track_variable(variable)


def tracker_of(layer):
    """Returns what notes a layer's attributes, and may be locked."""
    return layer._tracker


def mask_of(tensor):
    """Returns the mask that goes with a tensor, or None."""
    return getattr(tensor, "_keras_mask", None)


def set_mask(tensor, mask):
    """Gives a tensor a mask."""
    tensor._keras_mask = mask


def made_by(tensor) -> tuple:
    """Returns the operation of a symbolic tensor, and the node of the call."""
    operation, number, _ = tensor._keras_history
    return operation, operation._inbound_nodes[number]


def input_structure(model):
    """Returns a functional model's inputs as it was given them, or None."""
    return getattr(model, "_inputs_struct", None)


def num_calls(operation) -> int:
    """Returns how often an operation was called on symbolic tensors."""
    return len(operation._inbound_nodes)


def wrapped_function(measure) -> Any:
    """Returns the function that a metric is the mean of, or None."""
    return getattr(measure, "_fn", None)


def wrapped_arguments(measure) -> dict:
    """Returns the further arguments of `wrapped_function`."""
    return getattr(measure, "_fn_kwargs", {})


def waits_for_shapes(metric) -> bool:
    """Whether a metric of Keras makes variables when it is first updated."""
    return getattr(metric, "_built", True) is False


def area_settings(metric) -> tuple:
    """Returns an AUC's thresholds, whether they are even, and of logits."""
    return (
        tuple(map(float, metric._thresholds)),
        bool(metric._thresholds_distributed_evenly),
        metric._from_logits,
    )


def optimizer_map(optimizer) -> Any:
    """Returns what chooses among optimizers, or None for a plain one."""
    return getattr(optimizer, "_optimizer_map", None)


def adam_moments(optimizer, variable) -> tuple:
    """Returns a variable's averages: gradient, its square, the largest one.

    The last is None without `amsgrad`.
    """
    place = optimizer._get_variable_index(variable)
    lists = [optimizer._momentums, optimizer._velocities]
    lists += [optimizer._velocity_hats] if optimizer.amsgrad else []
    return (*(slots[place] for slots in lists), None)[:3]


def iterations(optimizer):
    """Returns the variable that counts micro-batches."""
    return optimizer._iterations


def optimized_variables(optimizer) -> list:
    """Returns what a built optimizer moves."""
    return optimizer._trainable_variables


def clipped(optimizer, gradients) -> list:
    """Returns gradients as the optimizer clips them."""
    return optimizer._clip_gradients(gradients)


def leave_undecayed(optimizer, variables, undecayed, like):
    """Excludes variables from weight decay, besides those excluded in `like`.

    Keras' own method forgets what the user excluded, and so does a config.
    """
    names = "_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"
    excluded, pattern = (getattr(like, name, None) for name in names)
    known = {optimizer._var_key(v) for v in variables}
    keys = {optimizer._var_key(v) for v in undecayed}
    setattr(optimizer, names[0], keys | (known & set(excluded or ())))
    setattr(optimizer, names[1], pattern)
    optimizer._exclude_from_weight_decay_cache = {}


def forget_values(progbar):
    """Makes a progress bar show nothing but the values of its next update."""
    progbar._values, progbar._values_order = {}, []


def set_initial_epoch(model, epoch):
    """Makes the next `fit` begin at an epoch; None for the first."""
    model._initial_epoch = epoch


def is_exported_name_taken(archive, name) -> bool:
    """Whether an `ExportArchive` has an attribute of this name already."""
    return hasattr(archive._tf_trackable, name)


def has_several_workers(strategy) -> bool:
    """Whether a strategy of TensorFlow spans several processes."""
    return strategy.extended._in_multi_worker_mode()


def called_function(operation):
    """Returns the function that an operation of a graph calls, or None."""
    return operation.graph._get_function(operation.get_attr("f").name)
