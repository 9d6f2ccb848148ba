"""Tests of the longer commands of `python -m bot`."""
