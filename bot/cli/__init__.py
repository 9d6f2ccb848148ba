"""The commands of `python -m bot`: each module has a `command(options)` that returns the exit code.

run.py      the live bot, or the sandbox
sandbox.py  the sandbox
check/      examines everything a live bot depends on
probe.py    asks a running bot's /health (`check --health`)
models.py   lists the models
db.py       looks after the database
process.py  what they share: exit codes, printing, logging, the event loop
"""
