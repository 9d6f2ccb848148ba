"""A Discord on loopback that unmodified discord.py can talk to.

wire             JSON, ids, permission bits, error answers
world            people, roles, channels, messages as data
validate/        what Discord refuses
compose          payload → message
messages         messages are created, edited, deleted; gateway, page and waiting tests are told
interactions     what people do and what the bot answers
commands         registered commands, to whom they are offered, how they are filled in
user_actions     what people do in Discord's client
gateway          the WebSocket: identify, resume, replay
fault_injection  rate limits, delays, failures, counters
chaos            rate limits at random, and an account of what the bot did about them
files            attachments
rest             the API's routes
devtools         the page's switches and actions
page_feed        events for open pages
page             the API of the browser page
conditions       waiting until something is true
server           all of it together, with a Python API for tests
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.discord.server import FakeDiscord as FakeDiscord
    from sandbox.discord.server import InteractionRecord as InteractionRecord
    from sandbox.discord.server import Message as Message
    from sandbox.discord.server import NotAnswered as NotAnswered
    from sandbox.discord.server import NotOffered as NotOffered


def __getattr__(name: str) -> Any:
    """Import on first use: the supervisor wants to start the bot before aiohttp is loaded."""
    if name in {"FakeDiscord", "InteractionRecord", "Message", "NotAnswered", "NotOffered"}:
        from sandbox.discord import server

        return getattr(server, name)
    raise AttributeError(name)
