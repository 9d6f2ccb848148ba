"""What Discord refuses, and the words it uses for it.

Every public function looks at one kind of payload and raises `DiscordError` 50035 with the nested
`errors` object when something is wrong. Nothing here changes what it is given.

limits           Discord's limits, and the numbers of its component types
problems         collecting what is wrong, by path
component_rules  components of messages
message_rules    messages
modal_rules      modals
command_rules    registered commands, autocomplete choices
"""

from __future__ import annotations

from sandbox.discord.validate.command_rules import choices, command, command_text, commands
from sandbox.discord.validate.component_rules import Files
from sandbox.discord.validate.limits import (
    CHECKBOX,
    CHECKBOXES,
    FILE,
    GALLERY,
    LABEL,
    MAX_CONTENT,
    MAX_FILES,
    MAX_REQUEST_BYTES,
    RADIO,
    ROW,
    SELECT,
    SELECTS,
    TEXT,
    TEXT_INPUT,
    UPLOAD,
)
from sandbox.discord.validate.message_rules import message
from sandbox.discord.validate.modal_rules import modal
from sandbox.discord.validate.problems import Path, Problems, length

__all__ = [
    "CHECKBOX",
    "CHECKBOXES",
    "FILE",
    "GALLERY",
    "LABEL",
    "MAX_CONTENT",
    "MAX_FILES",
    "MAX_REQUEST_BYTES",
    "RADIO",
    "ROW",
    "SELECT",
    "SELECTS",
    "TEXT",
    "TEXT_INPUT",
    "UPLOAD",
    "Files",
    "Path",
    "Problems",
    "choices",
    "command",
    "command_text",
    "commands",
    "length",
    "message",
    "modal",
]
