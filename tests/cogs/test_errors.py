from __future__ import annotations

import logging
from typing import Any, cast
from unittest.mock import AsyncMock, Mock, create_autospec

import discord
import pytest
from discord import app_commands

from bot.errors import InvalidOption, JobUnknown, StoreDamaged, StoreUnusable
from bot.phrase import phrase
from cogs import errors
from tests.cogs.interactions import an_interaction, said


def http_error(status: int, code: int) -> discord.HTTPException:
    response = Mock(status=status, reason="because")
    return discord.HTTPException(response, {"code": code, "message": "no"})


def invoke_error(cause: Exception) -> app_commands.CommandInvokeError:
    command = create_autospec(app_commands.Command, instance=True)
    command.name = "imagine"
    return app_commands.CommandInvokeError(command, cause)


async def test_an_expected_error_is_its_sentence_privately_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    interaction = an_interaction()
    await errors.answer(interaction, invoke_error(InvalidOption("steps", 99, phrase("takes_any_integer"))))
    sentence, private = said(interaction)
    assert sentence.startswith("`steps` can't be `99`")
    assert private
    assert not [record for record in caplog.records if record.exc_info]


async def test_an_answered_interaction_is_told_by_a_followup() -> None:
    interaction = an_interaction()
    cast("Any", interaction.response).is_done.return_value = True
    await errors.answer(interaction, JobUnknown())
    cast("AsyncMock", interaction.response.send_message).assert_not_called()
    assert "no longer have any data" in said(interaction)[0]


async def test_the_unexpected_is_a_code_that_is_also_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    interaction = an_interaction()
    await errors.answer(interaction, invoke_error(ZeroDivisionError("secret prompt")))
    sentence, private = said(interaction)
    code = sentence.partition("(code ")[2].partition(")")[0]
    assert code
    assert private
    assert "secret" not in sentence
    assert [record for record in caplog.records if record.levelno == logging.ERROR and record.__dict__["code"] == code]


async def test_a_database_that_is_away_is_worth_another_try_and_a_damaged_one_is_the_operators() -> None:
    away, damaged = an_interaction(), an_interaction()
    await errors.answer(away, StoreUnusable("The database /srv/easel.db is locked by another program."))
    await errors.answer(damaged, StoreDamaged("The database /srv/easel.db is damaged."))

    assert "try again in a minute" in said(away)[0]
    sentence, private = said(damaged)
    assert private
    assert "whoever runs the bot has to repair" in sentence
    assert "No quota was used" in sentence
    assert "in a minute" not in sentence
    assert "/srv" not in sentence


@pytest.mark.parametrize("code", [10062, 40060, 50027])
async def test_an_interaction_that_is_over_is_only_logged(code: int) -> None:
    interaction = an_interaction()
    await errors.answer(interaction, invoke_error(http_error(404, code)))
    cast("AsyncMock", interaction.response.send_message).assert_not_called()
    cast("AsyncMock", interaction.followup.send).assert_not_called()


async def test_a_failure_to_answer_is_no_error_of_its_own() -> None:
    interaction = an_interaction()
    cast("AsyncMock", interaction.response.send_message).side_effect = http_error(500, 0)
    await errors.answer(interaction, JobUnknown())


async def test_a_command_that_changed_under_the_persons_hands_is_said_so() -> None:
    interaction = an_interaction()
    await errors.answer(interaction, app_commands.CommandNotFound("imagine", []))
    assert "just changed" in said(interaction)[0]


async def test_a_refusal_raised_while_handling_another_error_is_still_a_refusal() -> None:
    interaction = an_interaction()
    try:
        try:
            raise KeyError("x")
        except KeyError as error:
            raise JobUnknown from error
    except JobUnknown as refusal:
        await errors.answer(interaction, refusal)
    assert "no longer have any data" in said(interaction)[0]
