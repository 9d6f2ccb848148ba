"""Tests of the values that all rooms of the bot share."""
