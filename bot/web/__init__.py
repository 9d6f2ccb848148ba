"""The small web server beside the bot: whether it is fit to serve."""

from bot.web.app import Health, make_app, start

__all__ = ["Health", "make_app", "start"]
