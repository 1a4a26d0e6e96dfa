"""How much a weighter costs: step times side by side."""
