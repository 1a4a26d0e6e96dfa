"""Callbacks of multi-task training."""

from keras_mtl.callbacks.backup_and_restore import BackupAndRestore
from keras_mtl.callbacks.delta_m import DeltaM
from keras_mtl.callbacks.gate_logger import GateLogger
from keras_mtl.callbacks.log_writer import LogWriter
from keras_mtl.callbacks.ranking_metrics import RankingMetrics
from keras_mtl.callbacks.task_weight_logger import TaskWeightLogger
from keras_mtl.callbacks.training_monitor import TrainingMonitor

__all__ = [
    "BackupAndRestore",
    "DeltaM",
    "GateLogger",
    "LogWriter",
    "RankingMetrics",
    "TaskWeightLogger",
    "TrainingMonitor",
]
