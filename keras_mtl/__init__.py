"""Multi-task learning for Keras: one model, many tasks, learned weights."""

__version__ = "0.1.0"
