"""Gradients of every task: whose, and how they are obtained."""

from keras_mtl.gradients.per_task import TaskGradients

__all__ = ["TaskGradients"]
