"""Tests of the commands, over real interactions' payloads and a real store."""
