"""Which title carries which awkward case: a table, so that tests can name one and ask for it.

A title has a trait when index % modulus == remainder. Moduli are small enough for the first 150
titles to show every case and the cases stay a minority. Nearly all of them were recorded from the
real API or reported by its clients.
"""

from __future__ import annotations

# name: (modulus, remainder)
TRAITS: dict[str, tuple[int, int]] = {
    # title and texts
    "title_without_en": (23, 5),
    "japanese_title_only": (29, 11),
    "duplicate_title": (31, 19),
    "very_long_title": (37, 20),
    "entities_in_title": (41, 13),
    "description_list": (13, 6),
    "description_empty": (17, 4),
    "description_without_en": (19, 8),
    "description_crlf": (16, 3),
    "description_entities": (22, 9),
    "alt_titles_empty": (14, 5),
    # numbers and fields that may be odd, null or absent
    "last_chapter_null": (18, 7),
    "last_chapter_fraction": (27, 2),
    "last_chapter_word": (43, 30),
    "links_list": (11, 4),
    "links_null": (20, 15),
    "links_empty": (24, 1),
    "tag_descriptions_list": (3, 0),
    "no_tags": (61, 33),
    "year_null": (6, 3),
    "languages_with_null": (28, 8),
    "is_locked": (51, 20),
    "is_locked_absent": (15, 9),
    "reset_flag_absent": (25, 10),
    "official_links": (12, 1),
    # relationships
    "several_authors": (9, 2),
    "separate_artist": (7, 3),
    "author_not_expanded": (47, 17),
    "author_absent": (71, 40),
    "creator_expanded": (4, 0),
    "related_title": (10, 3),
    # chapters
    "numbers_restart": (26, 12),
    "numbers_from_zero": (25, 14),
    "halves": (8, 2),
    "letters": (34, 21),
    "blanks": (45, 18),
    "unnumbered": (21, 16),
    "odd_volume": (33, 27),
    "two_groups": (12, 7),
    "joint_release": (15, 2),
    "no_group": (16, 11),
    "legacy_no_group": (40, 6),
    "no_uploader": (35, 25),
    "reupload": (20, 9),
    "unavailable": (14, 12),
    "publish_a_second_late": (5, 1),
}

# Rarer at high indexes, so that their chapters can be listed at once (ChapterHistory.irregular).
EXTERNAL_MODULUS, EXTERNAL_REMAINDER, EXTERNAL_DENSE_BELOW = 18, 4, 1_000


def has_trait(index: int, name: str) -> bool:
    """Tell whether the title at an index carries the named case; KeyError for an unknown name."""
    modulus, remainder = TRAITS[name]
    return index % modulus == remainder


def is_external(index: int) -> bool:
    """Tell whether the chapters of a title live on a publisher's site."""
    factor = 1 if index < EXTERNAL_DENSE_BELOW else 10
    return index % (EXTERNAL_MODULUS * factor) == EXTERNAL_REMAINDER
