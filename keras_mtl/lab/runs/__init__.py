"""One run of an experiment, from its data to a folder that can be resumed."""
