"""The small web server beside the bot: whether it is fit to serve, its figures, and fal's callbacks.

app.py        the server, /health and /metrics
callbacks.py  POST /fal/…: who is believed, and what was heard before
keys.py       fal's public keys
"""

from __future__ import annotations

from bot.web.app import Health, make_app, start
from bot.web.callbacks import Callback, CallbackReceiver, callback_url

__all__ = ["Callback", "CallbackReceiver", "Health", "callback_url", "make_app", "start"]
