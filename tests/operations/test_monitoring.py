"""The rules and the dashboard speak of figures that the programs really export."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

import sql
from batch.config import Config
from mangadex_sim import Simulator
from mangahub.env import settings_of
from sql.state.workflows import CADENCE
from tests.support.paths import ROOT

VARIABLES = {found.name for found in settings_of(Config).values()}
FOLDER = ROOT / "monitoring"
WORKFLOWS = (
    *("initial-sync", "new-manga-poll", "chapter-feed", "chapter-check", "metadata-refresh"),
    "fetch-wanted",
)
# What Prometheus and node_exporter themselves know.
FOREIGN = {"up", "node_textfile_scrape_error"}
# Words of the query language that stand where a name could.
WORDS = {"by", "and", "or", "unless", "on", "le", "without", "bool"}
Run = Callable[..., Any]
Series = tuple[str, frozenset[tuple[str, str]]]


def rules() -> list[dict[str, Any]]:
    content = yaml.safe_load((FOLDER / "alerts.yml").read_text())
    return [rule for group in content["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    return content


def targets() -> list[dict[str, Any]]:
    return [target for panel in dashboard()["panels"] for target in panel.get("targets", [])]


def expressions() -> list[str]:
    return [rule["expr"] for rule in rules()] + [target["expr"] for target in targets()]


def selectors(expression: str) -> Iterator[tuple[str, dict[str, tuple[str, str]]]]:
    """Return metric names and their conditions (label → operator, value), roughly parsed."""
    grouped = re.sub(r"\b(by|on|without)\s*\([^)]*\)", " ", expression)
    for match in re.finditer(r"([a-zA-Z_]\w*)\s*(\{[^}]*\})?\s*(\(?)", grouped):
        name, conditions, is_call = match.groups()
        if is_call or name in WORDS or re.search(r"[\[\d]$", grouped[: match.start()]):
            continue
        found = re.findall(r'(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"', conditions or "")
        yield name, {label: (operator, value) for label, operator, value in found}


def series_of(text: str) -> set[Series]:
    return {
        (sample.name, frozenset(sample.labels.items()))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def batch_series(
    simulator: Simulator, run_batch: Run, database_url: str, connection: sql.Connection, home: Path
) -> set[Series]:
    """What real runs leave, with one event owed, one entity refused and one title wanted."""
    folder = home / "metrics"
    folder.mkdir()
    connection.execute(
        "INSERT INTO notification_events (dedup_key, type, payload) VALUES ('a', 'new-manga', '{}')"
    )
    connection.execute(
        "WITH reader AS (INSERT INTO users (username) VALUES ('mika') RETURNING id)"
        " INSERT INTO import_entries (user_id, entry_key, mangadex_id, state)"
        " SELECT id, 'md:1', gen_random_uuid(), 'wanted' FROM reader"
    )
    env = {
        "DATABASE_URL": database_url,
        "MANGADEX_API_URL": simulator.url,
        "MANGA_SYNC_RATE_PER_SECOND": "200",
        "MANGA_SYNC_INITIAL_COUNT": "3",
        "MANGAHUB_METRICS_DIR": str(folder),
        "UDP_SERVER_URL": "http://127.0.0.1:9",
    }
    for workflow in WORKFLOWS:
        assert run_batch(workflow, env=env).code == 0
    return set().union(*(series_of(path.read_text()) for path in folder.glob("*.prom")))


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(titles=5, rate=0) as started:
        yield started


@pytest.fixture
def notify_series(start_program: Callable[..., Any], database_url: str) -> set[Series]:
    """What a real server shows after it has answered something."""
    env = {"DATABASE_URL": database_url, "UDP_PORT": "0", "UDP_HTTP_PORT": "0"}
    process = start_program("notify_server", "serve", env=env)
    line = process.stdout.readline()
    found = re.search(r"http=(\S+)", line)
    assert found, process.communicate(timeout=10)[1]
    address = f"http://{found[1].removeprefix('http://')}"
    assert requests.get(f"{address}/readyz", timeout=10).status_code == 200
    return series_of(requests.get(f"{address}/metrics", timeout=10).text)


def test_all_that_is_asked_for_is_exported_and_can_be_seen(
    batch_series: set[Series], notify_series: set[Series]
) -> None:
    exported = batch_series | notify_series
    names = {name for name, _ in exported}
    asked = {name for text in expressions() for name, _ in selectors(text)} - FOREIGN
    assert asked - names == set()
    shown = {name for name in names if not name.startswith("mangahub_batch_last_run_")}
    parts_of_others = {name for name in names if name.endswith(("_sum", "_count", "_created"))}
    assert shown - parts_of_others - asked == {"mangahub_batch_manga_seen_total"}
    for expression in expressions():
        for name, conditions in selectors(expression):
            for label, (operator, value) in conditions.items():
                if name not in FOREIGN and label != "status":
                    wanted = set(value.split("|") if operator == "=~" else [value])
                    assert wanted <= values_of(exported, name, label), (name, label)


def values_of(exported: set[Series], name: str, label: str) -> set[str]:
    return {dict(labels)[label] for series, labels in exported if series == name}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_rule_says_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert all(len(text) > 10 for text in rule["annotations"].values())
    assert re.fullmatch(r"\d+[mhd]", rule.get("for", "1m"))
    assert rule["expr"].count("(") == rule["expr"].count(")")


def test_rules_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    assert all(name.startswith("MangaHub") for name in names)


@pytest.mark.parametrize("workflow", sorted(set(WORKFLOWS) - {"initial-sync"}))
def test_a_workflow_is_late_by_what_its_timer_makes_of_it(workflow: str) -> None:
    timer = (FOLDER.parent / f"systemd/mangahub-{workflow}.timer").read_text()
    is_daily = re.search(r"^OnCalendar=\*-\*-\* \d\d:\d\d:\d\d UTC$", timer, re.M) is not None
    assert (CADENCE.get(workflow.replace("-", "_")) == timedelta(days=1)) == is_daily
    frequent = {"chapter-feed": "MangaHubNoNews", "fetch-wanted": "MangaHubNoWantedTitles"}
    rule = "MangaHubNoUpkeep" if is_daily else frequent[workflow]
    late = [r for r in rules() if r["expr"].startswith("time() - mangahub_batch_last_success")]
    assert [r["alert"] for r in late if workflow in r["expr"]] == [rule]


def test_runbooks_name_commands_and_variables_that_exist() -> None:
    text = (FOLDER / "alerts.yml").read_text()
    commands = set(re.findall(r"mangahub-batch ([a-z-]+)", text))
    assert commands <= {*WORKFLOWS, "doctor", "status", "relay", "retention"}
    variables = set(re.findall(r"\bMANGA[A-Z_]+\b|\bNOTIFY_[A-Z_]+\b", text))
    assert variables <= {*VARIABLES, "NOTIFY_SECRET"}


def test_the_dashboard_can_be_imported_anywhere() -> None:
    content = dashboard()
    assert content["uid"] and content["title"] and "id" not in content
    (variable,) = content["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    shown = [panel for panel in content["panels"] if panel["type"] != "row"]
    for part in [*shown, *targets()]:
        assert part["datasource"]["uid"] == "${datasource}"
    assert len({panel["id"] for panel in content["panels"]}) == len(content["panels"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in shown)
    assert all(panel["targets"] for panel in shown)


def test_panels_do_not_cover_one_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_itself_can_read_every_expression(tmp_path: Path) -> None:
    records = [
        {"record": f"panel:{number}", "expr": target["expr"]}
        for number, target in enumerate(targets())
    ]
    panels = tmp_path / "panels.yml"
    panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", FOLDER / "alerts.yml", panels],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
