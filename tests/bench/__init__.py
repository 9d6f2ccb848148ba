"""Measurements of Easel against a naive bot, both over the same stand-ins: `make bench`."""
