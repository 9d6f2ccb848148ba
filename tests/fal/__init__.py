"""Tests of fal's client against a scripted fal on loopback."""
