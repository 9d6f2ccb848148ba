"""The pictures that the stand-in for fal paints."""
