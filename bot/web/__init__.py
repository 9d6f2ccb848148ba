"""The aiohttp application beside the bot: health, metrics, and fal's callbacks.

app.py        the server, /health and /metrics
callbacks.py  POST /fal/…: verification, replays, handing callbacks on
jwks.py       fal's public keys, cached
"""

from __future__ import annotations

from bot.web.app import Health, make_app, start, until_broken
from bot.web.callbacks import CallbackReceiver, FalCallback, callback_url

__all__ = ["CallbackReceiver", "FalCallback", "Health", "callback_url", "make_app", "start", "until_broken"]
