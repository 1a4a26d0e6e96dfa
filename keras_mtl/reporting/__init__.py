"""The style of pictures, and the pictures that the library draws."""
