"""Tests of the sandbox's page in a real browser over a fake API."""
