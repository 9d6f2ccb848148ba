"""The buttons that exist: the one list in the tests to which a new button is added."""

from __future__ import annotations

#: Every custom_id that was ever given to Discord. Messages already posted carry them: add new ones, never remove one.
POSTED_CUSTOM_IDS = (
    "easel:cancel:0a1b2c3d4e5f",
    "easel:why:0a1b2c3d4e5f",
    "easel:again:0a1b2c3d4e5f",
    "easel:edit:0a1b2c3d4e5f",
    "easel:details:0a1b2c3d4e5f",
    "easel:delete:0a1b2c3d4e5f",
    "easel:paint:z-image-turbo",
    "easel:mydefault:z-image-turbo",
    "easel:fix:0a1b2c3d4e5f",
    "easel:fixmore:0a1b2c3d4e5f.1",
    "easel:goon:0a1b2c3d4e5f",
    "easel:omit:0a1b2c3d4e5f",
    "easel-menu:usemodel:0a1b2c3d4e5f",
    "easel:fixjob:0a1b2c3d4e5f",
    "easel:payfor:0a1b2c3d4e5f.360000",
    "easel:costs:today",
    "easel:costs:month.all",
    "easel:compose:-",
    "easel:models:-",
    "easel:usage:-",
    "easel:eraseask:-",
    "easel:erase:-",
    "easel:erasenot:-",
    "easel-menu:model:0",
    "easel-menu:canceljob:-",
)
#: The labels of the buttons under a result with one picture, in their order (CardKind.RESULT).
RESULT_BUTTONS = ["Again", "Edit prompt", "Details", "Delete"]
#: The same under a failure after which Again is offered (CardKind.TRANSIENT_FAILURE).
FAILURE_BUTTONS = ["Again", "Edit prompt", "Details", "Delete"]
#: The same under a failure that the same request would meet again (slot LASTING_FAILURE).
LASTING_FAILURE_BUTTONS = ["Fix it", "Details", "Delete"]
#: The same under a failure that only whoever runs the bot can mend (slot OPERATORS_FAILURE).
OPERATORS_FAILURE_BUTTONS = ["Details", "Delete"]
