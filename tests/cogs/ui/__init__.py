"""Tests of cards, buttons and texts, which are pure functions."""
