"""Tests of the whole bot while faults are injected at fal and at Discord."""
