"""Files are read as a whole or refused in one line, whatever they hold."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import zipfile

import hypothesis
import pytest
from hypothesis import strategies as st

from readers.errors import UnreadableList
from readers.lists import reading
from readers.lists.formats.files import MOST_BYTES
from readers.lists.reading import READERS, read_list
from tests.support import lists

ID = "a1c7c817-4e59-43b7-9365-09675a149a6f"
SAMPLES = [
    lists.backup(lists.manga(f"/manga/{ID}", "One", (16, lists.chapter(3)))),
    gzip.decompress(lists.backup(lists.manga(f"/manga/{ID}", "One", (18, lists.tracking(2))))),
    lists.mal("<manga_mangadb_id>1</manga_mangadb_id><manga_title>A</manga_title>"),
    json.dumps({"statuses": {ID: "reading"}}).encode(),
    json.dumps({"user": {}, "lists": [{"series_type": 1, "series_id": 1}]}).encode(),
    f"title,mangadex_id\nOne,{ID}\n".encode(),
    f"{ID}\nOne\n".encode(),
]


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("favourites", "[]")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (gzip.compress(b""), "empty"),
        (SAMPLES[0][:-9], "half-way"),
        (SAMPLES[0][:20], "half-way"),
        (SAMPLES[0][:-8] + bytes(8), "damaged"),
        (gzip.compress(bytes(MOST_BYTES + 1)), "too large"),
        (gzip.compress(gzip.compress(b"A")), "packed twice"),
        (zipped(), "ZIP archive"),
        (gzip.compress(zipped()), "ZIP archive"),
        (bz2.compress(b"A"), "bzip2"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "JPEG"),
        (b"%PDF-1.7", "PDF"),
        (b"SQLite format 3\0", "database"),
        (bytes(range(256)) * 10, "no list that is known"),
        (b"\x00\x01\x02\x03", "no list that is known"),
        (b"A\0B\nC\n", "no list that is known"),
        (b"Berserk\n\xe9lan\n", "not in UTF-8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",  # gzip's holds the time
)
def test_what_is_no_list_is_refused_in_one_line(content: bytes, words: str) -> None:
    with pytest.raises(UnreadableList, match=words) as refused:
        read_list(io.BytesIO(content))
    assert "\n" not in str(refused.value)


def test_a_list_of_more_titles_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_ENTRIES", 3)
    with pytest.raises(UnreadableList, match="more than 3 entries"):
        read_list(io.BytesIO(b"A\nB\nC\nD\n"))
    assert len(read_list(io.BytesIO(b"A\nB\nC\n")).entries) == 3


@pytest.mark.parametrize("format", READERS)
@hypothesis.given(content=st.binary(max_size=300))
@hypothesis.settings(max_examples=30)
def test_no_bytes_do_more_than_be_refused(format: str, content: bytes) -> None:
    read_or_refuse(content, format)


@hypothesis.given(
    sample=st.sampled_from(SAMPLES),
    start=st.floats(0, 1),
    size=st.integers(0, 40),
    new=st.binary(max_size=40),
)
@hypothesis.settings(max_examples=300)
def test_no_damage_does_more_than_be_refused(
    sample: bytes, start: float, size: int, new: bytes
) -> None:
    position = int(start * len(sample))
    read_or_refuse(sample[:position] + new + sample[position + size :], "auto")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([ID, "reading", "MANGA"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "entries statuses data lists series_id series_type status progress title media"
                " MediaListCollection relationships id type errors ids mediaId user".split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@hypothesis.given(document=JSON)
@hypothesis.settings(max_examples=300)
def test_no_json_does_more_than_be_refused(document: object) -> None:
    content = json.dumps(document).encode()
    for format in ("auto", "json", "anilist", "mdlist"):
        read_or_refuse(content, format)


def read_or_refuse(content: bytes, format: str) -> None:
    try:
        found = read_list(io.BytesIO(content), format)
    except UnreadableList as exc:
        assert str(exc)
        return
    for entry in found.entries:
        assert entry.key and entry.title.isprintable()
        assert entry.progress is None or 0 <= entry.progress <= 99_999_999
        assert len(entry.key.encode()) < 2_700  # the most that an index takes
