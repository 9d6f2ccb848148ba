"""Tests of the sandbox: the fake Discord, the fake fal, the supervisor."""
