"""What people were promised against what happened: lost, doubled, charged wrongly, left untold."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.discord import InteractionRecord
from sandbox.fal import Accepted

Row = Mapping[str, Any]


@dataclass(eq=False)
class Ask:
    """Somebody wants pictures."""

    kind: str
    prompt: str
    record: InteractionRecord
    images: int = 1
    #: They pressed Cancel at least once.
    cancelled: bool = False
    #: They pressed Delete on the result.
    deleted: bool = False
    #: A card that names a job was shown.
    card: bool = False
    #: Where the bot was killed meanwhile.
    where: str = ""

    @property
    def seen(self) -> bool:
        """Whether the answer was a card with the job: from then on it must end well."""
        return self.record.state == "answered" and self.card


@dataclass(frozen=True)
class Verdict:
    """What a proof found. All of the first block must be nothing."""

    #: Promised, and neither delivered nor ended for a reason of the person's own, or still under way.
    lost: tuple[str, ...] = ()
    doubled_posts: tuple[str, ...] = ()
    #: fal was given the same request more often than the bot has flagged.
    doubled_submits: tuple[str, ...] = ()
    ledger_off: tuple[str, ...] = ()
    #: A picture came although the person had been told that the bot did not respond.
    uninvited: tuple[str, ...] = ()
    #: A reason that a person can't understand: the card still shows work, or says nothing.
    untold: tuple[str, ...] = ()

    asked: int = 0
    answered: int = 0
    pictures: int = 0
    submits: int = 0
    cancelled: int = 0
    refused: int = 0
    never_answered: int = 0
    #: Submitted again by the bot, which flagged each as a possible double; and how many really were.
    flagged: int = 0
    flagged_doubles: int = 0
    #: Millionths of a US dollar by fal's own bill, and by the ledger; and of that, what nobody can know.
    billed: int = 0
    counted: int = 0
    uncertain: int = 0

    FAULTS = ("lost", "doubled_posts", "doubled_submits", "ledger_off", "uninvited", "untold")

    @property
    def faults(self) -> dict[str, tuple[str, ...]]:
        """What is wrong, by kind; empty when all is well."""
        return {name: getattr(self, name) for name in self.FAULTS if getattr(self, name)}

    def shows(self, fault: str) -> bool:
        """Whether a control found what it looks for: a fault, or doubles that the bot flagged where none was needed."""
        return self.flagged_doubles > 0 if fault == "flagged_doubles" else fault in self.faults

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(**{name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__})

    def __str__(self) -> str:
        figures = (
            f"{self.asked} asked, {self.answered} answered with a card, {self.never_answered} never answered, "
            f"{self.submits} submits, {self.pictures} pictures, {self.cancelled} cancelled, {self.refused} refused, "
            f"{self.flagged} flagged as possible doubles, of which {self.flagged_doubles} were, "
            f"billed ${self.billed / 1e6:.6f}, counted ${self.counted / 1e6:.6f} (${self.uncertain / 1e6:.6f} of it "
            "because nobody can know)"
        )
        bound = ", ".join(f"{len(getattr(self, name))} {name.replace('_', ' ')}" for name in self.FAULTS)
        details = [f"  {name}: {one}" for name, found in self.faults.items() for one in found[:12]]
        return "\n".join([f"{figures}; {bound} (bound: 0 of each)", *details])


@dataclass
class Evidence:
    """What the fake servers and the database know when nothing is under way any more."""

    asks: Sequence[Ask]
    #: Requests that fal took.
    accepted: Sequence[Accepted]
    #: Rows of jobs and of the ledger, by job.
    jobs: Mapping[str, Row]
    ledger: Mapping[str, Row]
    #: Ids of the messages that showed a picture, by job; and how many pictures the last of them showed.
    posts: Mapping[str, set[str]]
    shown: Mapping[str, int]
    #: Jobs that an interaction's card named.
    jobs_of: Mapping[str, set[str]]
    #: What fal billed, in millionths of a US dollar, by prompt.
    billed: Mapping[str, int]
    _found: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def verdict(self, ledger_faults: Sequence[str]) -> Verdict:
        """Compare it with what people were promised; `ledger_faults` is what the store's own check found."""
        by_interaction: defaultdict[str, list[Row]] = defaultdict(list)
        for row in self.jobs.values():
            by_interaction[str(row["interaction_id"])].append(row)
        counts: Counter[str] = Counter(asked=len(self.asks), submits=len(self.accepted))
        for ask in self.asks:
            self._judge(ask, by_interaction[ask.record.id], counts)
        self._judge_posts()
        counts["flagged"] = sum(row["possible_doubles"] for row in self.jobs.values())
        counts["flagged_doubles"] = self._judge_submits()
        self._judge_ledger()
        self._judge_bill(counts)
        self._found["ledger_off"] += ledger_faults
        fields: dict[str, Any] = {**{name: tuple(lines) for name, lines in self._found.items()}, **counts}
        return Verdict(**fields)

    def _judge(self, ask: Ask, rows: list[Row], counts: Counter[str]) -> None:
        job_ids = self.jobs_of.get(ask.record.id, set()) | {row["id"] for row in rows}
        pictures = sum(self.shown.get(job_id, 0) for job_id in job_ids)
        row = rows[0] if rows else None
        state, code = (row["state"], _code(row)) if row is not None else ("no row", "")
        where = f", killed {ask.where}" if ask.where else ""
        what = f"{ask.prompt!r} ({ask.kind}{where}): {state} {code} jobs {sorted(job_ids)}".replace("  ", " ")
        counts["pictures"] += pictures
        if not ask.seen:
            counts["never_answered"] += ask.record.state != "answered"
            if pictures:
                self._found["uninvited"].append(what)
            return
        counts["answered"] += 1
        if state == "delivered" or (state == "no row" and ask.deleted):
            if pictures != ask.images:
                self._found["lost"].append(f"{what}, {pictures} pictures of {ask.images}")
        elif state == "cancelled" and ask.cancelled:
            counts["cancelled"] += 1
            if pictures:
                self._found["uninvited"].append(what)
        elif state == "failed" and (code == "content_refused" or ask.deleted) and "forbidden-content" in ask.prompt:
            counts["refused"] += 1
        else:
            self._found["lost"].append(what)
        original = ask.record.original
        if original is not None and original.id in original.channel.messages and "Cancel" in original.buttons():
            self._found["untold"].append(what)

    def _judge_posts(self) -> None:
        for job_id, messages in self.posts.items():
            if len(messages) > 1:
                self._found["doubled_posts"].append(f"job {job_id} in {len(messages)} messages")
        for interaction, job_ids in self.jobs_of.items():
            if len(job_ids) > 1:
                self._found["doubled_posts"].append(f"interaction {interaction} shows jobs {sorted(job_ids)}")

    def _judge_submits(self) -> int:
        """Equal requests at fal, against what was asked for; returns doubles that the bot has flagged itself."""
        asked = Counter(ask.prompt for ask in self.asks)
        flags: Counter[str] = Counter()
        for row in self.jobs.values():
            if row["order_json"]:
                flags[json.loads(row["order_json"])["prompt"]] += row["possible_doubles"]
        accepted = Counter(str(one.arguments.get("prompt")) for one in self.accepted)
        seeds: Counter[tuple[str, Any]] = Counter()
        for one in self.accepted:
            if "seed" in one.arguments:
                seeds[str(one.arguments.get("prompt")), one.arguments["seed"]] += 1
        flagged = 0
        for prompt, count in accepted.items():
            surplus = max(count - asked[prompt], sum(n - 1 for (of, _), n in seeds.items() if of == prompt and n > 1))
            if surplus > flags[prompt]:
                self._found["doubled_submits"].append(f"{prompt!r}: {count} at fal, asked {asked[prompt]} times")
            flagged += min(surplus, flags[prompt]) if surplus > 0 else 0
        return flagged

    def _judge_ledger(self) -> None:
        for job_id, row in self.ledger.items():
            painted = self.shown.get(job_id, 0)
            state = self.jobs[job_id]["state"] if job_id in self.jobs else "gone"
            if row["state"] == "reserved":
                self._found["ledger_off"].append(f"job {job_id} ({state}): still reserved")
            elif row["counted"] != painted:
                self._found["ledger_off"].append(f"job {job_id} ({state}): {row['counted']} charged, {painted} shown")

    def _judge_bill(self, counts: Counter[str]) -> None:
        """The ledger against fal's own bill, to the millionth; it may be above where nobody can know, never below."""
        counted: Counter[str] = Counter()
        unsure: set[str] = set()
        prompts = self._prompts()
        for job_id, row in self.ledger.items():
            prompt = prompts.get(job_id)
            if prompt is None:
                continue
            counted[prompt] += row["counted_usd_micros"]
            job = self.jobs.get(job_id)
            charge = json.loads((job["failure_json"] if job is not None else None) or "{}").get("charge", {})
            if charge.get("uncertain") or row["doubtful"]:
                unsure.add(prompt)
        counts["billed"], counts["counted"] = sum(self.billed.values()), sum(counted.values())
        for prompt in counted.keys() | self.billed.keys():
            above = counted[prompt] - self.billed.get(prompt, 0)
            if above > 0 and prompt in unsure:
                counts["uncertain"] += above
            elif above:
                self._found["ledger_off"].append(f"{prompt!r}: {above} µ$ more counted than fal billed")

    def _prompts(self) -> dict[str, str]:
        """The prompt of each job; of one whose content was deleted, that of whoever asked for it."""
        asked = {ask.record.id: ask.prompt for ask in self.asks}
        prompts = {
            job_id: asked[interaction]
            for interaction, job_ids in self.jobs_of.items()
            if interaction in asked
            for job_id in job_ids
        }
        for job_id, row in self.jobs.items():
            if row["order_json"]:
                prompts[job_id] = json.loads(row["order_json"])["prompt"]
            elif str(row["interaction_id"]) in asked:
                prompts[job_id] = asked[str(row["interaction_id"])]
        return prompts


def _code(row: Row) -> str:
    return str(json.loads(row["failure_json"] or "{}").get("code", ""))
