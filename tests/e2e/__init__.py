"""Tests of the whole bot between the fake servers, and of the sandbox's page in a real browser."""
