"""What is saved, loaded and exported of a model of many tasks."""
