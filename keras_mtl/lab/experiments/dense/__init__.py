"""What experiments need that say something about every pixel."""
