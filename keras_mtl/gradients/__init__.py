"""Gradients of each task: of which variables, and how they are computed."""

from keras_mtl.gradients.forward import ForwardPass
from keras_mtl.gradients.task_gradients import TaskGradients

__all__ = ["ForwardPass", "TaskGradients"]
