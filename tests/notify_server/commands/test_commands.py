"""`user`, `library` and `key`: a database without MangaHub's own programs is usable."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from notify_server.cli import main
from readers import sign_in_links


def test_a_user_is_added_listed_and_has_a_key(
    run: Any, server: Any, make_client: Any, make_manga: Any
) -> None:
    added = run("user", "add", "ann", "--json")
    assert added.code == 0
    user = added.json["id"]
    assert run("user", "list", "--json").json == {"users": [{"id": user, "username": "ann"}]}
    key = run("key", "ann").stdout.splitlines()[-1]
    assert run("key", user, "--json").json["key"] == key
    assert run("key", user.upper()).stdout.splitlines()[-1] == key
    assert run("key", "--all", "--json").json == {user: key}
    client = make_client(server, user)
    client.key = key
    assert client.subscribe()["session"]


def test_an_id_can_be_given(run: Any) -> None:
    user = str(uuid.uuid4())
    assert run("user", "add", "bob", "--id", user).stdout == f"{user}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["user", "add", "ann"], 1, "exists"),
        (["user", "add", " x"], 2, "blanks"),
        (["user", "add", "zed", "--id", "x"], 2, "UUID"),
        (["user", "add", "zed", "--email", "\udcff"], 2, "UTF-8"),
        (["key", "\udcff"], 2, "UTF-8"),
        (["library", "add", "ann", "\udcff"], 2, "UTF-8"),
        (["library", "list", "\udcff"], 2, "UTF-8"),
        (["user"], 2, "COMMAND"),
        (["nonsense"], 2, "nonsense"),
        (["key"], 2, "USER"),
        (["key", "nobody"], 1, "no user"),
        (["key", "ann", "--all"], 2, "not allowed"),
        (["key", "--all", "--rotate"], 2, "--rotate"),
        (["key", "--all", "--link"], 2, "--link"),
        (["key", "ann", "--rotate", "--link"], 2, "not allowed"),
        (["library", "add", "ann"], 2, "MANGA"),
        (["library", "add", "nobody", "1"], 1, "no user"),
        (["library", "add", "ann", "Unheard of"], 1, "no manga"),
        (["library", "add", "ann", "blue"], 1, "ambiguous"),
        (["library", "add", "ann", "1", "Unheard of"], 1, "no manga"),
    ],
)
def test_mistakes_are_explained(
    run: Any,
    connection: Any,
    make_user: Any,
    make_manga: Any,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    make_user("ann")
    make_manga("Blue Sea")
    make_manga("Blue Sky")
    finished = run(*arguments)
    assert finished.code == code
    assert words in finished.stderr.splitlines()[-1]
    assert connection.execute("SELECT count(*) FROM user_library").fetchone() == (0,)


def test_ambiguous_titles_list_the_candidates(run: Any, make_user: Any, make_manga: Any) -> None:
    make_user("ann")
    ids = [make_manga(title) for title in ("Blue Sea", "Blue Sky")]
    line = run("library", "add", "ann", "blue s").stderr.splitlines()[-1]
    assert all(str(id) in line for id in ids)
    assert "Blue Sea" in line and "Blue Sky" in line


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (" ann", "' ann'"),
        ("", "''"),
        ("a\nb", r"'a\nb'"),
        ("\udcff", r"'\udcff'"),
        ("x" * 101, f"'{'x' * 77}...'"),
    ],
)
def test_a_bad_name_is_repeated_with_what_is_allowed(run: Any, name: str, shown: str) -> None:
    finished = run("user", "add", name)
    assert finished.code == 2
    line = finished.stderr.splitlines()[-1]
    assert f" {shown} is not allowed: it must be 1 to 100 printable characters" in line


def test_a_short_secret_is_warned_of_where_keys_are_printed(run: Any, make_user: Any) -> None:
    make_user("ann")
    finished = run("key", "ann", NOTIFY_SECRET="x")
    assert finished.code == 0
    assert "NOTIFY_SECRET is short" in finished.stderr
    assert "short" not in run("key", "ann", NOTIFY_SECRET="x" * 16).stderr


@pytest.mark.parametrize(
    ("env", "running", "url"),
    [
        pytest.param({}, None, "http://127.0.0.1:8086", id="by default"),
        pytest.param({"WEB_BIND": "::1", "WEB_PORT": "81"}, None, "http://[::1]:81", id="settings"),
        pytest.param({}, "127.0.0.1:41", "http://127.0.0.1:41", id="it runs"),
        pytest.param({}, "0.0.0.0:41", "http://127.0.0.1:41", id="it runs for all addresses"),
        pytest.param({}, "[::]:41", "http://[::1]:41", id="for all of IPv6"),
        pytest.param(
            {"WEB_URL": "https://Hub.example/"}, "[::]:41", "https://hub.example", id="WEB_URL"
        ),
    ],
)
def test_a_link_leads_to_where_the_website_is(
    run: Any,
    make_user: Any,
    connection: Any,
    home: Path,
    env: dict[str, str],
    running: str | None,
    url: str,
) -> None:
    user = make_user("ann")
    if running:
        (home / "website.json").write_text(json.dumps({"http": running, "streams": ""}))
    done = run("key", "ann", "--link", "--json", MANGAHUB_DATA=str(home), **env)
    address, _, token = done.json["link"].rpartition("/sign-in/")
    assert (done.code, address, done.stdout.splitlines()[0]) == (0, url, done.json["link"])
    assert ("The website does not run here" in done.stderr) == (not running)
    found = sign_in_links.find_link(connection, token)
    assert found is not None and str(found.id) == str(user)


def test_the_websites_address_has_no_path(run: Any, make_user: Any) -> None:
    make_user("ann")
    done = run("key", "ann", "--link", WEB_URL="http://hub.example/manga")
    assert done.code == 2
    assert "WEB_URL='http://hub.example/manga' is not allowed" in done.stderr


def test_an_operator_is_added(run: Any, connection: Any) -> None:
    assert run("user", "add", "mika", "--admin").code == 0
    assert run("user", "add", "noor").code == 0
    roles = connection.execute("SELECT username, role FROM users ORDER BY username").fetchall()
    assert roles == [("mika", "admin"), ("noor", "user")]


def test_titles_are_found_by_title_id_and_mangadex_id(
    run: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    make_user("ann")
    ids = [make_manga(t) for t in ("Blue", "Blue Sea", "Red 100%_Moon", "Green", "1984")]
    mangadex_id = str(uuid.uuid4())
    connection.execute("UPDATE manga SET mangadex_id = %s WHERE id = %s", (mangadex_id, ids[3]))
    added = run(
        "library", "add", "ann", "blue", str(ids[1]), "100%_m", mangadex_id, "1984", "--json"
    )
    assert added.code == 0, added.stderr
    assert [m["id"] for m in added.json["manga"]] == ids
    assert run("library", "add", "ann", str(ids[0])).code == 0  # once more is no mistake
    listed = run("library", "list", "ann").stdout.splitlines()
    assert len(listed) == 5
    assert f"{ids[0]}\tBlue" in listed
    assert run("library", "remove", "ann", "Blue", "Green", "--json").code == 0
    left = run("library", "list", "ann", "--json").json["manga"]
    assert {m["title"] for m in left} == {"Blue Sea", "Red 100%_Moon", "1984"}


def test_a_number_that_is_an_id_and_another_title_is_ambiguous(
    run: Any, make_user: Any, make_manga: Any
) -> None:
    make_user("ann")
    first = make_manga("Blue")
    other = make_manga(str(first))
    refused = run("library", "add", "ann", str(first))
    assert refused.code == 1
    line = refused.stderr.splitlines()[-1]
    assert f"ambiguous, give one by its id: id:{other} '{first}', id:{first} 'Blue'" in line
    for id in (first, other):
        assert run("library", "add", "ann", f"id:{id}", "--json").json["manga"][0]["id"] == id
    assert run("library", "add", "ann", "id:999").code == 1


def test_a_title_that_is_its_own_id_is_not_ambiguous(
    run: Any, make_user: Any, make_manga: Any, connection: Any
) -> None:
    make_user("ann")
    id = make_manga("Blue")
    connection.execute("UPDATE manga SET title = id::text")
    assert run("library", "add", "ann", str(id)).code == 0


def test_rotation_gives_another_key_for_good(run: Any, make_user: Any) -> None:
    make_user("ann")
    other = make_user("bob")
    before = run("key", "--all", "--json").json
    rotated = run("key", "ann", "--rotate").stdout.splitlines()[-1]
    after = run("key", "--all", "--json").json
    assert rotated in after.values()
    assert rotated not in before.values()
    assert before[other] == after[other]
    assert run("key", "ann").stdout.splitlines()[-1] == rotated


def test_without_database_it_says_try_again(run: Any) -> None:
    finished = run("user", "list", DATABASE_URL="postgresql://u:secret@127.0.0.1:1/x")
    assert finished.code == 75
    assert "secret" not in finished.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["serve"],
        ["user"],
        ["user", "add"],
        ["user", "list"],
        ["key"],
        ["library"],
        ["library", "add"],
        ["library", "remove"],
        ["library", "list"],
    ],
)
def test_every_command_has_help(arguments: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--help"])
    assert caught.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_json_is_the_last_line(run: Any, make_user: Any) -> None:
    make_user("ann")
    for arguments in (["user", "list"], ["key", "ann"], ["library", "list", "ann"]):
        assert isinstance(json.loads(run(*arguments, "--json").stdout.splitlines()[-1]), dict)


def test_a_command_that_fails_ends_stdout_with_one_object_too(run: Any) -> None:
    failed = run("key", "nobody", "--json")
    assert failed.code == 1
    assert failed.json == {"error": failed.json["error"], "exit_code": 1}
    assert "nobody" in failed.json["error"]
    assert len(failed.stderr.splitlines()) == 1


def test_errors_are_json_lines_where_logs_are(run: Any) -> None:
    failed = run("key", "nobody", LOG_FORMAT="json")
    line = json.loads(failed.stderr.splitlines()[-1])
    assert (line["level"], "nobody" in line["message"]) == ("ERROR", True)


def test_options_that_do_not_go_together_are_bad_usage(run: Any) -> None:
    failed = run("key", "--all", "--rotate")
    assert failed.code == 2
    assert "--rotate takes one USER" in failed.stderr
