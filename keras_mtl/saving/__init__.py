"""Saving, loading and exporting a model of many tasks."""
