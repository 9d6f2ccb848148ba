"""What Discord's numeric error codes mean for a message that it did not take."""

from __future__ import annotations

import discord

#: The message was deleted; the channel or thread was; a file is too large.
UNKNOWN_MESSAGE, UNKNOWN_CHANNEL, TOO_LARGE = 10008, 10003, 40005
#: A text filter refused it: AutoMod (the message, or the title of a post), and the filter of harmful links.
TEXT_FILTERED = frozenset({200000, 200001, 240000})


def is_deleted(error: BaseException) -> bool:
    """Whether the message that was to be edited is gone for good. (10015 says that there never was one.)"""
    return isinstance(error, discord.NotFound) and error.code == UNKNOWN_MESSAGE


def is_channel_gone(error: BaseException) -> bool:
    """Whether the channel or thread was deleted."""
    return isinstance(error, discord.NotFound) and error.code == UNKNOWN_CHANNEL


def is_text_filtered(error: BaseException) -> bool:
    """Whether another text may do."""
    return isinstance(error, discord.HTTPException) and error.code in TEXT_FILTERED


def is_too_large(error: discord.HTTPException) -> bool:
    """Whether a smaller upload may do."""
    return error.status == 413 or error.code == TOO_LARGE
