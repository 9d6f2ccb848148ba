"""Tests of the connection to Discord: HTTP, rate limits, identifies."""
