"""How long the jobs that bring news take, and how many requests they need.

    python -m bench.news_jobs [--titles 85000]

Against the stand-in API with 200 ms latency and its limit of 5 requests a second; the whole process
from start to exit, with a database that is already running. All titles of the catalogue are
tracked since four days ago, and their baselines are known.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime, timedelta

import sql
from bench.harness import Measured, new_database, print_table, run_batch, server, source
from mangadex_sim import SimControl

TRACKED_FOR = timedelta(days=4)
HEADER = ["what", "wall s", "to reach", "requests", "expected", "found", "in 1 s", "not 200"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--titles", type=int, default=85_000)
    titles = parser.parse_args().titles
    rows: list[list[str]] = []
    with server() as server_url:
        url = new_database(server_url, "bench")
        with source("--titles", str(titles), "--recent-chapters", "1400") as api:
            track_all(api, url, titles)
            warm_up(api, url)
            rows.append(feed_of_48_hours(api, url, titles))
            rows.append(feed_without_news(api, url, titles))
            rows.append(check_of_50(api, url))
            rows.append(new_titles(api, url))
            rows.append(poll_without_news(api, url))
            rows.append(refresh_of_5000(api, url))
    print_table(f"news for {titles:,} tracked titles", HEADER, rows)


def track_all(api: SimControl, url: str, titles: int) -> None:
    """Store rows as an initial sync would have left them four days ago."""
    since = datetime.now(UTC) - TRACKED_FOR
    ids = api.title_ids(0, titles)
    with sql.connect(url) as connection, connection.transaction():
        connection.execute(
            "INSERT INTO manga (mangadex_id, slug, title, first_synced_at, last_synced_at)"
            " SELECT id, id, 'Title', %s, now() FROM unnest(%s::uuid[]) AS id",
            [since, ids],
        )
        connection.execute(
            "INSERT INTO chapter_baselines (manga_id, translated_language, latest_chapter)"
            " SELECT id, '*', 0 FROM manga"
        )
        set_state(connection, "initial_sync", None, since)
        set_state(connection, "new_manga_poll", datetime.now(UTC), since)
    with sql.connect(url) as connection:
        connection.execute("VACUUM ANALYZE manga")
        connection.execute("VACUUM ANALYZE chapter_baselines")


def set_state(
    connection: sql.Connection, sync_type: str, cursor: datetime | None, since: datetime
) -> None:
    connection.execute(
        "UPDATE sync_state SET last_cursor = %s,"
        " metadata = jsonb_build_object('started_at', %s::text) WHERE sync_type = %s",
        [cursor and f"{cursor:%Y-%m-%dT%H:%M:%S}", since.isoformat(), sync_type],
    )


def warm_up(api: SimControl, url: str) -> None:
    """Let the stand-in derive its catalogue, which is not the batch's time."""
    run_batch(api, url, "chapter-feed")
    with sql.connect(url) as connection:
        connection.execute("TRUNCATE chapters, chapter_announcements, notification_events CASCADE")
        connection.execute("UPDATE sync_state SET last_cursor = NULL WHERE sync_type ="
                           " 'chapter_feed'")  # fmt: skip
        connection.execute("UPDATE manga SET total_chapters = NULL WHERE total_chapters > 0")


def row(
    api: SimControl, what: str, done: Measured, target_s: float, expected: str, found: object
) -> list[str]:
    stats = api.stats()
    bad = sum(number for status, number in stats["by_status"].items() if status != "200")
    most = str(stats["max_in_a_second"])
    asked = str(done.report["requests"])
    return [
        what, f"{done.wall_s:.2f}", f"≤ {target_s:g}", asked, expected, str(found), most, str(bad)
    ]  # fmt: skip


def quiet(api: SimControl) -> None:
    """Restart the counts, and let the window of the run before pass."""
    time.sleep(1.1)
    api.reset()


def feed_of_48_hours(api: SimControl, url: str, titles: int) -> list[str]:
    quiet(api)
    done = run_batch(api, url, "chapter-feed")
    what = f"chapter-feed: 1,400 chapters, {titles:,} titles"
    return row(api, what, done, 6, "15–20", done.report["chapters_new"])


def feed_without_news(api: SimControl, url: str, titles: int) -> list[str]:
    quiet(api)
    done = run_batch(api, url, "chapter-feed")
    return row(api, "chapter-feed: nothing new", done, 1, "1", done.report["chapters_new"])


def check_of_50(api: SimControl, url: str) -> list[str]:
    """Check 50 titles, 20 of which have chapters that the feed missed."""
    with sql.connect(url) as connection:
        connection.execute("DELETE FROM chapter_baselines")
        connection.execute("UPDATE manga SET last_chapter_check = now()")
        due = connection.execute(
            "UPDATE manga SET last_chapter_check = NULL WHERE id IN (SELECT id FROM manga ORDER BY"
            " id LIMIT 50) RETURNING mangadex_id::text"
        ).fetchall()
    api.publish_many([{"manga": title, "number": "9999"} for (title,) in due[:20]])
    quiet(api)
    done = run_batch(api, url, "chapter-check")
    return row(api, "chapter-check: 50 titles", done, 10.5, "50", done.report["chapters_new"])


def new_titles(api: SimControl, url: str) -> list[str]:
    api.add_titles(250)
    quiet(api)
    done = run_batch(api, url, "new-manga-poll")
    return row(api, "new-manga-poll: 250 titles", done, 2, "3–4", done.report["manga_new"])


def poll_without_news(api: SimControl, url: str) -> list[str]:
    quiet(api)
    done = run_batch(api, url, "new-manga-poll")
    return row(api, "new-manga-poll: nothing new", done, 1, "–", done.report["manga_new"])


def refresh_of_5000(api: SimControl, url: str) -> list[str]:
    with sql.connect(url) as connection:
        connection.execute(
            "UPDATE manga SET last_synced_at = now() - interval '2 days' WHERE id IN"
            " (SELECT id FROM manga ORDER BY id LIMIT 5000)"
        )
    quiet(api)
    done = run_batch(api, url, "metadata-refresh")
    what = "metadata-refresh: 5,000 titles"
    return row(api, what, done, 10.5, "50", done.report["manga_seen"])


if __name__ == "__main__":
    main()
