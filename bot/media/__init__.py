"""Bytes: what a picture is, fetched under a cap, fitted to Discord's limits.

picture.py    inspect: format and size from the header alone
fetch.py      one GET under a cap, with its own rules for redirects
public_addresses.py  where a connection may lead
fit.py        re-encode when a channel's limits demand it
inputs.py     people's attachments and masks
workshop.py   the one thread that decodes
"""

from __future__ import annotations

from bot.media.fit import fit
from bot.media.inputs import Attachments, fetch_input, mask_matches
from bot.media.picture import inspect

__all__ = ["Attachments", "fetch_input", "fit", "inspect", "mask_matches"]
