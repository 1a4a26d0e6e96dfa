"""Methods compared over seeds, on one experiment."""
