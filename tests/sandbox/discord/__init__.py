"""Tests of the fake Discord and of the supervisor, driven by unmodified discord.py and by raw sockets."""
