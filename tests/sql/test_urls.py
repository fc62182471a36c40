"""Database URLs: what is accepted, and that no password is ever shown."""

from __future__ import annotations

import pytest

from mangahub.env import Env, SettingError
from sql import database_url, masked

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:s3cr3t@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("postgres://u:s3cr3t@h1:1,h2:2/db?sslmode=require", None),
        ("postgresql://u:s3@cr3t@h/db", "postgresql://u:***@h/db"),
        ("postgresql://h/db?user=u&password=s3cr3t&sslmode=require", None),
        ("postgresql://h/db?sslpassword=s3cr3t", "postgresql://h/db?sslpassword=***"),
        ("postgresql://:s3cr3t@/db", "postgresql://:***@/db"),
        ("host=h password=s3cr3t dbname=db", "host=h password=*** dbname=db"),
        ("host=h password='s3 cr3t' dbname=db", "host=h password=*** dbname=db"),
        ("host=h password = s3cr3t", "host=h password = ***"),
        (r"host=h password='s3\'s3cr3t' dbname=db", "host=h password=*** dbname=db"),
        ("postgresql://u:s3cr3t/x@h/db", None),
        ("postgresql://u:s3cr3t#x@h/db", None),
        ("postgresql://u:s3cr3t?x@h/db", None),
        ("postgresql://u%3As3:s3cr3t@h/db", None),
    ],
)
def test_a_password_is_masked(url: str, shown: str | None) -> None:
    assert SECRET not in masked(url)
    assert "***" in masked(url) or shown == url
    assert masked(url) == (shown or masked(url))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgresql:///db",
        "postgres://u:p%40ss@h:5432/db",
        "postgresql://h1:1,h2:2/db?target_session_attrs=read-write",
        "postgresql://[::1]:5432/db",
        "postgresql://u@/db?host=/var/run/postgresql",
        "postgresql://u@%2Fvar%2Frun/db",
        "postgresql://h/db?connect_timeout=3&application_name=x&sslmode=disable",
    ],
)
def test_a_url_that_libpq_reads_is_accepted(url: str) -> None:
    assert database_url(Env({"DATABASE_URL": url})) == url


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://u:s3cr3t@h/db",
        "http://u:s3cr3t@h/db",
        "host=h dbname=db password=s3cr3t",
        "postgresql://u:s3cr3t@h:port/db",
        "postgresql://u:s3cr3t@h:0/db",
        "postgresql://u:s3cr3t@h:65536/db",
        "postgresql://u:s3cr3t@h/db?nonsense=1",
        "postgresql://u:s3cr3t@h/db?sslmode=maybe",
        "postgresql://u:s3cr3t@h/db?connect_timeout=soon",
        "postgresql://u:%zzs3cr3t@h/db",
        "postgresql://u:s3cr3t@[::1/db",
        "postgresql://u:s3cr3t@h/d\nb",
        "postgresql://u:s3cr3t%00@h/db",
        "postgresql://u:s3cr3t/x@h/db",
        "postgresql:/u:s3cr3t@h/db",
        "postgresql://u:s3cr3t",
        "u:s3cr3t@h/db",
        "://u:s3cr3t@h/db",
    ],
)
def test_a_bad_url_is_refused_in_one_line_without_its_password(url: str) -> None:
    with pytest.raises(SettingError) as caught:
        database_url(Env({"DATABASE_URL": url}))
    text = str(caught.value)
    assert text.startswith("DATABASE_URL=")
    assert "libpq URL" in text
    assert SECRET not in text
    assert len(text.splitlines()) == 1
