from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bot import metrics
from bot.errors import EaselError

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
RULES = DEPLOY / "prometheus" / "easel.rules.yml"
RULES_TEST = DEPLOY / "prometheus" / "easel.rules.test.yml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "easel.json").read_text(encoding="utf-8"))


def offered() -> set[str]:
    """The names of all series that the bot can have, also those that nothing was counted for yet."""
    names: set[str] = set()
    for family in metrics.REGISTRY.collect():
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        names |= {family.name + end for end in ends}
    return names


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


@pytest.mark.parametrize("source", [RULES.read_text(), RULES_TEST.read_text(), "\n".join(expressions())])
def test_every_metric_that_is_watched_exists(source: str) -> None:
    named = set(re.findall(r"\beasel_[a-z_]+", source))
    assert named
    assert named <= offered()


def labels_of() -> dict[str, set[str]]:
    """The labels of each series, also where nothing was counted for yet."""
    found: dict[str, set[str]] = {}
    for collector in list(metrics.REGISTRY._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()))
        for name in metrics.REGISTRY._collector_to_names[collector]:
            found[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    return found


#: `sum by (code) (increase(easel_jobs_failed_total{code="x"}`: what is grouped by, the metric, what is chosen.
_ASKED = re.compile(r"(?:by \(([a-z, ]+)\) \((?:\w+\()?)?(easel_[a-z_]+)(?:\{([^}]*)\})?")


def misused(source: str) -> list[tuple[str, str]]:
    """Labels by which a metric is chosen or added up that does not have them."""
    known, wrong = labels_of(), []
    for grouped, name, chosen in re.findall(
        r"(?:by \(([a-z, ]+)\) \((?:\w+\()?)?(easel_[a-z_]+)(?:\{([^}]*)\})?", source
    ):
        used = [label.strip() for label in grouped.split(",") if label] + re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", chosen)
        wrong += [(name, label) for label in used if label not in known[name]]
    return wrong


@pytest.mark.parametrize("source", [RULES.read_text(), "\n".join(expressions())])
def test_every_label_that_is_asked_for_exists(source: str) -> None:
    assert "by (code) (increase(easel_jobs_failed_total" in source
    assert misused(source) == []


def test_a_label_that_does_not_exist_is_found() -> None:
    assert misused('easel_budget_usd{perod="day"}') == [("easel_budget_usd", "perod")]
    assert misused("sum by (kind) (increase(easel_jobs_failed_total[1h]))") == [("easel_jobs_failed_total", "kind")]
    assert misused("max by (period) (easel_budget_usd)") == []


def test_the_codes_that_alerts_wait_for_exist() -> None:
    codes = {one.strip() for listed in re.findall(r'code=~?"([^"]+)"', RULES.read_text()) for one in listed.split("|")}
    assert codes
    assert codes <= {error.code for error in every_error(EaselError)}


def every_error(error: type[EaselError]) -> set[type[EaselError]]:
    """The class and all that derive from it."""
    return {error}.union(*(every_error(one) for one in error.__subclasses__()))


def test_every_alert_is_tested() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    assert len(alerts) == len(set(alerts)) >= 10
    firing = re.findall(r"alertname: (\w+)\n\s+eval_time: \w+\n\s+exp_alerts:\n\s+- exp_labels", RULES_TEST.read_text())
    assert set(firing) == set(alerts)


def test_the_dashboard_shows_what_it_must() -> None:
    shown = "\n".join(expressions())
    for metric in (
        "easel_budget_spent_usd",
        "easel_spent_usd_total",
        "easel_estimate_ratio_bucket",
        "easel_jobs_waiting",
        "easel_initial_response_seconds_bucket",
        "easel_jobs_failed_total",
    ):
        assert metric in shown
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_nothing_on_the_dashboard_lies_on_something_else() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
