"""Easel: a self-hosted Discord bot that paints on demand through fal.ai."""

__version__ = "0.1.0"
