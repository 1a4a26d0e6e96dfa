"""How pictures look, and those that the library itself draws."""
