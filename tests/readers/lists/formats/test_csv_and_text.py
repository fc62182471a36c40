"""CSV by its header, text by its lines, in the encodings that programs save them in."""

from __future__ import annotations

import io

import pytest

from readers.errors import UnreadableList
from readers.lists.reading import ReadList, read_list

ID = "a1c7c817-4e59-43b7-9365-09675a149a6f"


def read(content: bytes | str, format: str = "auto") -> ReadList:
    return read_list(io.BytesIO(content.encode() if isinstance(content, str) else content), format)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_delimiters_and_encodings_are_found_out(delimiter: str, encoding: str) -> None:
    rows = ["title,mangadex_id,status,progress", f"Élan,{ID},on hold,12.5", ",,,", "B,,,"]
    found = read("\r\n".join(rows).replace(",", delimiter).encode(encoding))
    assert found.format == "csv"
    assert [(e.title, e.status, e.progress) for e in found.entries] == [
        ("Élan", "reading", pytest.approx(12.5)),
        ("B", None, None),
    ]


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("MAL ID;Name", "mal:7"),
        ("AniList;Comment", "al:7"),
        ("kitsu_id,x", "kt:7"),
        ("Title", "title:7"),
        ("mu", "mu:7"),
    ],
)
def test_columns_are_known_by_several_names(header: str, key: str) -> None:
    cells = ";".join("7" if n == 0 else "x" for n in range(len(header.split(";"))))
    assert read(f"{header}\n{cells}\n").entries[0].key == key


def test_cells_that_a_spreadsheet_would_compute_are_text() -> None:
    found = read("title,status\n'=1+1,\n=HYPERLINK(x),\n''-A,\n'Twas,\n")
    assert [e.title for e in found.entries] == ["=1+1", "=HYPERLINK(x)", "'-A", "'Twas"]


def test_rows_may_be_shorter_or_longer_than_the_header() -> None:
    found = read("title,status,progress\nA\nB,reading,1,2,3,4\n\n")
    assert [(e.title, e.progress) for e in found.entries] == [("A", None), ("B", 1)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b,c\n1,2,3\n", "no header"),
        (b"title,status\nA,\xe9\n", "UTF-8"),
        (b'title,status\n"A,reading\n', "damaged"),
        (b"title,status\n" + b"x" * 200_000 + b",\n", "damaged"),
    ],
    ids=["no header", "latin 1", "an open quote", "a huge cell"],
)
def test_a_csv_that_cannot_be_read_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(UnreadableList, match=words):
        read(content, "csv")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (ID, f"mangadex:{ID}"),
        (f"https://mangadex.org/title/{ID}/berserk", f"mangadex:{ID}"),
        ("https://mangadex.org/title/12345/berserk", "legacy:12345"),
        ("https://myanimelist.net/manga/2/Berserk", "mal:2"),
        ("https://anilist.co/manga/30002/Berserk/", "al:30002"),
        ("https://kitsu.app/manga/berserk", "kt:berserk"),
        ("https://www.mangaupdates.com/series/axmopy6/berserk", "mu:axmopy6"),
        ("https://www.mangaupdates.com/series.html?id=88", "mu:88"),
        ("https://www.anime-planet.com/manga/berserk", "ap:berserk"),
        ("Berserk", "title:berserk"),
        ("1984", "title:1984"),
        ("!!", "title:!!"),
    ],
)
def test_a_line_of_text_is_an_id_an_address_or_a_title(line: str, key: str) -> None:
    found = read(f"\n{line}\r\n\n")
    assert found.format == "text"
    assert [e.key for e in found.entries] == [key]


def test_addresses_of_other_sites_are_ignored() -> None:
    assert read("https://example.org/x\nBerserk\n").ignored == {"addresses of other sites": 1}
