"""`channel`: adding, listing, pausing and removing; secrets are shown once or never."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from readers.channels.store import Counts, count_channels

SECRET = "s3cret"
HOOK = f"webhook:https://hooks.example/{SECRET}"


@pytest.fixture
def ine(make_user: Callable[..., str]) -> str:
    make_user("ine")
    return "ine"


def test_a_channel_is_added_listed_and_removed_by_its_id(run: Any, ine: str) -> None:
    added = run("channel", "add", ine, f"ntfys://ntfy.example/{SECRET}")
    assert (added.code, added.stderr) == (0, "")
    id = added.stdout.split("\t")[0]
    assert added.stdout == f"{id}\tntfys://ntfy.example/…\n"
    assert run("channel", "list", ine).stdout == f"{id}\tntfys://ntfy.example/…\tnew\n"
    assert run("channel", "remove", ine, id).code == 0
    assert run("channel", "list", ine).stdout == ""


def test_options_are_listed(run: Any, ine: str) -> None:
    given = ("--only", "new-chapter", "--digest", "daily@07:00", "--time-zone", "europe/berlin")
    assert run("channel", "add", ine, "ntfy://t", *given).code == 0
    line = run("channel", "list", ine).stdout
    assert "\tntfy://…\tnew, only new-chapter, daily@07:00 Europe/Berlin" in line
    (body,) = run("channel", "list", ine, "--json").json["channels"]
    assert (body["only"], body["digest"]) == (["new-chapter"], "daily@07:00")
    assert body["next_attempt_at"].endswith(":00:00Z")


def test_the_secret_of_a_webhook_is_shown_when_it_is_added_and_never_again(
    run: Any, ine: str
) -> None:
    added = run("channel", "add", ine, HOOK)
    secret = added.stdout.splitlines()[-1]
    assert secret.startswith("whsec_") and SECRET not in added.stdout + added.stderr
    shown = run("channel", "list", ine, "--json").stdout + run("channel", "list", ine).stdout
    assert "whsec_" not in shown and SECRET not in shown
    other = run("channel", "add", ine, f"{HOOK}2", "--json").json["secret"]
    assert other.startswith("whsec_") and other != secret


def test_an_address_can_come_from_stdin(
    run: Any, ine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{HOOK}\n"))
    assert run("channel", "add", ine, "-").code == 0
    assert "hooks.example" in run("channel", "list", ine).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("ine", "slack://a/b/c"), 2, "'slack' is no kind"),
        (("ine", "webhook:http://hooks.example/"), 2, "webhook:https://"),
        (("ine", "ntfy://10.0.0.1/topic"), 2, "private address"),
        (("ine", "ntfy://t", "--only", "chapters"), 2, "'chapters' is no kind"),
        (("ine", "ntfy://t", "--digest", "weekly"), 2, "daily@07:00"),
        (("ine", "ntfy://t", "--digest", "daily@07:00", "--time-zone", "Mars"), 2, "no time zone"),
        (("nobody", "ntfy://t"), 1, "there is no user 'nobody'"),
        (("ine", f"ntfy://{SECRET} x"), 2, "printable"),
    ],
)
def test_what_cannot_be_added_is_named_in_one_line(
    run: Any, ine: str, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = run("channel", "add", *arguments)
    assert done.code == code and message in done.stderr and SECRET not in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_readers_may_add_is_a_setting_and_what_is_trusted_is_not_bound_by_it(
    run: Any, ine: str
) -> None:
    hook = "webhook:http://127.0.0.1:9/x"
    assert run("channel", "add", ine, hook).code == 2
    assert run("channel", "add", ine, hook, NOTIFY_CHANNELS_PRIVATE="on").code == 0
    assert run("channel", "add", ine, "ntfy://t", NOTIFY_CHANNELS="off").code == 2
    assert run("channel", "add", ine, "slack://a/b/c", "--trusted", NOTIFY_CHANNELS="off").code == 0


def test_the_same_channel_is_not_added_twice(run: Any, ine: str) -> None:
    run("channel", "add", ine, HOOK)
    again = run("channel", "add", ine, HOOK)
    assert again.code == 1 and "has this channel already" in again.stderr
    assert SECRET not in again.stderr


def test_a_user_has_at_most_16_channels(run: Any, ine: str) -> None:
    for number in range(16):
        assert run("channel", "add", ine, f"ntfy://t{number}").code == 0
    done = run("channel", "add", ine, "ntfy://t16")
    assert done.code == 1 and "16 channels already" in done.stderr


def test_nobody_removes_the_channel_of_another(run: Any, ine: str, make_user: Any) -> None:
    make_user("ola")
    id = run("channel", "add", ine, "ntfy://t", "--json").json["id"]
    assert run("channel", "remove", "ola", str(id)).code == 1
    assert "ntfy" in run("channel", "list", ine).stdout


def test_an_address_that_is_not_there_is_not_repeated(run: Any, ine: str) -> None:
    done = run("channel", "remove", ine, f"ntfy://{SECRET}")
    assert done.code == 1 and SECRET not in done.stderr


def test_a_channel_is_paused_and_resumed(run: Any, ine: str) -> None:
    id = str(run("channel", "add", ine, HOOK, "--json").json["id"])
    assert run("channel", "pause", ine, id).stdout.endswith("\tpaused\n")
    assert run("channel", "pause", ine, id).code == 0
    assert run("channel", "resume", ine, id).stdout.endswith("\tnew\n")


def test_channels_go_with_their_user(run: Any, ine: str, connection: Any) -> None:
    run("channel", "add", ine, HOOK)
    connection.execute("DELETE FROM users")
    for table in ("reader_channels", "channel_deliveries"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_new_channel_begins_with_what_is_stored_from_now_on(
    run: Any, ine: str, connection: Any
) -> None:
    connection.execute("INSERT INTO notifications (message) VALUES ('old'), ('old')")
    run("channel", "add", ine, HOOK)
    (row,) = connection.execute("SELECT last_id, (SELECT max(id) FROM notifications) FROM "
                                "channel_deliveries").fetchall()  # fmt: skip
    assert row[0] == row[1]


def test_an_operator_sees_how_many_work_fail_are_paused_and_wait(
    run: Any, ine: str, connection: Any
) -> None:
    ids = [run("channel", "add", ine, f"ntfy://t{n}", "--json").json["id"] for n in range(4)]
    run("channel", "add", ine, "ntfy://digest", "--digest", "daily@07:00")
    run("channel", "pause", ine, str(ids[0]))
    connection.execute(
        "UPDATE channel_deliveries SET failing_since = now() WHERE channel_id = %s", [ids[1]]
    )
    assert count_channels(connection) == Counts(working=3, failing=1, paused=1, unsent=0)
    connection.execute(
        "INSERT INTO notifications (user_id, message, created_at)"
        " SELECT id, 'x', now() - interval '11 min' FROM users"
    )
    assert count_channels(connection) == Counts(working=3, failing=1, paused=1, unsent=2)
