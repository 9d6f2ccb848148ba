"""Tests of pictures as bytes: download, inspection, fitting to Discord's limits."""
