"""Callbacks of multi-task training."""

from keras_mtl.callbacks.backup_and_restore import BackupAndRestore
from keras_mtl.callbacks.gate_logger import GateLogger
from keras_mtl.callbacks.task_weight_logger import TaskWeightLogger
from keras_mtl.callbacks.training_monitor import TrainingMonitor

__all__ = [
    "BackupAndRestore",
    "GateLogger",
    "TaskWeightLogger",
    "TrainingMonitor",
]
