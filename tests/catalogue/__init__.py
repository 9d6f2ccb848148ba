"""Tests of the models and their options: parsing, prices, fal's arguments."""
