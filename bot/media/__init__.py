"""Bytes: what a picture is, fetched under a cap, set right for models, fitted to Discord's limits.

Import from the modules: the decoding process imports this package too, and is to start quickly.

picture.py    inspect: format and size of a result from its header alone
fetch.py      one GET under a cap, with its own rules for redirects
public_addresses.py  where a connection may lead
inputs.py     people's attachments and masks
fit.py        results: re-encoded when a channel's limits demand it, and whether they are blank
workers.py    the decoding processes, seen from the bot: turns, limits, killing
turns.py      fairness between people where they share something scarce
worker.py     the decoding process itself
vector.py     SVG as pixels, there too
decoding.py   what it does with Pillow
headers.py    what a file says it is, and what decoding it would take
guards.py     tricks that are refused before a decoder sees them
"""
