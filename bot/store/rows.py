"""Between values (`Job`, `GenerationRequest`, …) and what the columns hold.

Unknown JSON keys are ignored, missing ones get their defaults: rows may come from another version.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import RowMapping

from bot.catalogue import request_from_json, request_to_json
from bot.domain.job import Actor, Failure, FalRequest, Job, JobState, NewJob, RemotePicture, Reply, Result
from bot.domain.money import Charge
from bot.domain.request import GenerationRequest, Json
from bot.phrase import Phrase, phrase
from bot.store.times import from_us, maybe_from_us, to_us

log = logging.getLogger(__name__)

#: One row by column name.
Row = Mapping[str, Any] | RowMapping

_PICTURE = ("url", "content_type", "width", "height", "seed")


def job_columns(new: NewJob, now_us: int, *, flow_id: int, fair_cost: float) -> dict[str, object]:
    """A whole new row of `jobs`, queued."""
    return {
        "id": new.id,
        "interaction_id": new.reply.interaction_id,
        "state": JobState.QUEUED.value,
        "fence": 0,
        "attempts": 0,
        "user_id": new.actor.user_id,
        "guild_id": new.actor.guild_id,
        "channel_id": new.actor.channel_id,
        "role_ids": _dump(list(new.actor.role_ids)),
        "endpoint": new.request.endpoint,
        "images": new.request.images,
        "order_json": request_json(new.request),
        "reply_json": _dump(_reply_to_json(new.reply)),
        "token": new.reply.token,
        "token_expires_us": to_us(new.reply.token_expires_at),
        "message_id": new.reply.message_id,
        "parent_id": new.parent_id,
        "told": 0,
        "cancel_requested": 0,
        "flow_id": flow_id,
        "fair_cost": fair_cost,
        "created_us": now_us,
    }


def queued_job(new: NewJob, now: datetime) -> Job:
    """The job as it stands right after `job_columns` was inserted."""
    return Job(
        id=new.id,
        state=JobState.QUEUED,
        fence=0,
        actor=new.actor,
        reply=new.reply,
        request=new.request,
        parent_id=new.parent_id,
        created_at=now,
    )


def job_from(row: Row) -> Job:
    """The whole job. Where its content was deleted, the request is empty but for model and count."""
    return Job(
        id=row["id"],
        state=JobState(row["state"]),
        fence=row["fence"],
        actor=Actor(row["user_id"], row["channel_id"], row["guild_id"], tuple(json.loads(row["role_ids"]))),
        reply=_reply_from(row),
        request=_request_from_json(row),
        parent_id=row["parent_id"],
        created_at=from_us(row["created_us"]),
        submitted_at=maybe_from_us(row["submitted_us"]),
        started_at=maybe_from_us(row["started_us"]),
        finished_at=maybe_from_us(row["finished_us"]),
        ended_at=maybe_from_us(row["ended_us"]),
        fal_request=_fal_request_from(row["request_json"]),
        result=_result_from(row["result_json"]),
        failure=_failure_from(row["failure_json"]),
        notified=bool(row["told"]),
        cancel_requested=bool(row["cancel_requested"]),
        attempts=row["attempts"],
        possible_doubles=row["possible_doubles"],
        prepare_crashes=row["prepare_crashes"],
    )


def readable(rows: Iterable[Row]) -> list[Job]:
    """The jobs that this version can read; what only a newer one understands is left alone, with a line in the log."""
    found = []
    for row in rows:
        try:
            found.append(job_from(row))
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            if row["id"] not in _reported:
                _reported.add(row["id"])
                log.warning(
                    "a job's record is not understood and left alone (written by a newer version?)",
                    extra={"job": row["id"], "state": row["state"], "error": type(error).__name__},
                )
    return found


#: Rows that are in the log already.
_reported: set[str] = set()


def request_json(request: GenerationRequest) -> str:
    """Column `order_json`."""
    return _dump(request_to_json(request))


def fal_request_json(request: FalRequest | None) -> str | None:
    """Column `request_json`."""
    if request is None:
        return None
    return _dump(
        {
            "request_id": request.request_id,
            "status_url": request.status_url,
            "response_url": request.response_url,
            "cancel_url": request.cancel_url,
        }
    )


def result_json(result: Result | None) -> str | None:
    """Column `result_json`."""
    if result is None:
        return None
    return _dump(
        {
            "pictures": [{name: getattr(picture, name) for name in _PICTURE} for picture in result.pictures],
            "seed": result.seed,
            "nsfw": None if result.nsfw is None else list(result.nsfw),
            "inference_s": result.inference_s,
            "billable_units": None if result.billable_units is None else str(result.billable_units),
            "usage": None if result.usage is None else dict(result.usage),
            "cost_usd": None if result.cost_usd is None else str(result.cost_usd),
        }
    )


def failure_json(failure: Failure | None) -> str | None:
    """Column `failure_json`."""
    if failure is None:
        return None
    return _dump(
        {
            "code": failure.code,
            "phrase": failure.phrase.to_json(),
            "worth_retrying": failure.worth_retrying,
            "incident": failure.incident,
            **({} if failure.charge is None else {"charge": asdict(failure.charge)}),
        }
    )


def _dump(value: object) -> str:
    # ASCII only: half an emoji (a lone surrogate) can come in from outside, and no database takes it as text.
    return json.dumps(value, separators=(",", ":"))


# ---------------------------------------------------------------------- the parts of a job


def _request_from_json(row: Row) -> GenerationRequest:
    if row["order_json"] is None:
        return GenerationRequest(row["endpoint"], "", {}, (), row["images"], None, None)
    return request_from_json(json.loads(row["order_json"]))


def _reply_to_json(reply: Reply) -> dict[str, Json]:
    return {
        "application_id": reply.application_id,
        "upload_limit_bytes": reply.upload_limit_bytes,
        "age_restricted": reply.age_restricted,
        "bot_can_post": reply.bot_can_post,
        "ephemeral": reply.ephemeral,
        "locale": reply.locale,
    }


def _reply_from(row: Row) -> Reply:
    kept = _known(
        json.loads(row["reply_json"]),
        ("application_id", "upload_limit_bytes", "age_restricted", "bot_can_post", "ephemeral", "locale"),
    )
    return Reply(
        interaction_id=row["interaction_id"],
        token=row["token"],
        token_expires_at=from_us(row["token_expires_us"]),
        message_id=row["message_id"],
        **kept,
    )


def _fal_request_from(text: str | None) -> FalRequest | None:
    if text is None:
        return None
    return FalRequest(**_known(json.loads(text), ("request_id", "status_url", "response_url", "cancel_url")))


def _result_from(text: str | None) -> Result | None:
    if text is None:
        return None
    data = json.loads(text)
    units = data.get("billable_units")
    nsfw = data.get("nsfw")
    return Result(
        pictures=tuple(RemotePicture(**_known(picture, _PICTURE)) for picture in data["pictures"]),
        seed=data.get("seed"),
        nsfw=None if nsfw is None else tuple(nsfw),
        inference_s=data.get("inference_s"),
        billable_units=None if units is None else Decimal(units),
        usage=data.get("usage"),
        cost_usd=None if data.get("cost_usd") is None else Decimal(data["cost_usd"]),
    )


#: The codes of failures under which rows of earlier versions were stored, with the names that they have now.
_FORMER_CODES: Final[Mapping[str, str]] = {
    "painting_failed": "generation_failed",
    "timed_out": "generation_timed_out",
    "fal_broken": "provider_error",
    "request_unknown": "request_not_found",
    "withheld": "result_withheld",
    "withheld_unjudged": "result_withheld_unjudged",
    "answer_lost": "submit_never_confirmed",
    "never_found_out": "submit_unresolved",
}


def _failure_from(text: str | None) -> Failure | None:
    if text is None:
        return None
    data = json.loads(text)
    kept = _known(data, ("worth_retrying", "incident"))
    if "charge" in data:
        kept["charge"] = Charge(**_known(data["charge"], ("counted", "forgiven", "usd_micros", "uncertain")))
    # Rows that were stored before there were phrases hold an English sentence.
    message = Phrase.from_json(data["phrase"]) if "phrase" in data else phrase("as_stored", text=data["sentence"])
    return Failure(_present_code(data["code"]), Phrase(_present_code(message.code), message.params), **kept)


def _present_code(stored: str) -> str:
    return _FORMER_CODES.get(stored, stored)


def _known(data: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: data[key] for key in keys if key in data}
