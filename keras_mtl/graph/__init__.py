"""Functional Keras models: where their tasks part."""
