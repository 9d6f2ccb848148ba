"""Measurements of Easel against a naive bot, both over the same fake servers: `make bench`."""
