"""Text for a card: chart text made harmless and short, our own text as Markdown, dated facts (T11, T12)."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping

from cds_service.rule_engine.model import Fact

CHART_TEXT_LENGTH = 80

_ORDINARY = re.compile(r"[A-Za-z0-9(),;/%+='-](?:[A-Za-z0-9(),;/%+=' -]|\.(?![A-Za-z]{2}))*")
_NOT_ORDINARY = re.compile(r"//|www\.|  | $|^(?:\d+[.)]|[-+=])", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")
# Anything that a Markdown renderer or a mail client turns into a link. Escaping is not enough: GitHub's autolinks are
# made after escapes have been read.
_LINK = re.compile(
    r"(?:[a-z][a-z0-9+.-]{0,30}:)?//\S*|(?:mailto|xmpp|javascript|vbscript):\S*|www\.\S*|[^\s@]+@[^\s@]+\.\S*",
    re.IGNORECASE,
)
_BARE_DOMAIN = re.compile(r"\.(?=[^\W\d_]{2})")
_MARKDOWN = re.compile(r"[\\`*_\[\]|~#$]")
_LIST_START = re.compile(r"(?:(\d+)([.)])|([-+=]))(?=\s|$|[-+=])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_HTML = re.compile(r"[&<>]")
# Invisible, yet letters or symbols to Unicode: Hangul fillers, the blank Braille pattern, the grapheme joiner.
_INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f")
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_LINK_REMOVED = "(link removed)"
_INNER_QUOTES = str.maketrans("“”", "''")
NO_WORDS: Mapping[str, str] = {}
_TIME = re.compile(r"T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?")


def escape(text: str, limit: int = CHART_TEXT_LENGTH) -> str:
    """Text from a chart, safe inside GitHub Flavored Markdown and inside HTML: nothing but text survives.

    Control, bidirectional and invisible characters and links are removed, line breaks become blanks, all that Markdown
    or HTML could read is escaped, and what is longer than ``limit`` characters is cut.
    """
    return text if _is_ordinary(text, limit) else _as_text(plain(text, limit))


def plain(text: str, limit: int = CHART_TEXT_LENGTH) -> str:
    """Text from a chart for a field that is no Markdown: visible characters on one line, without links, cut."""
    if _is_ordinary(text, limit):
        return text
    folded = _BLANKS.sub(" ", text[: limit * 50])
    if not (folded.isascii() and folded.isprintable()):
        folded = "".join([c for c in folded if _is_visible(c)])
    seen = folded[: limit * 4]
    unlinked = _BARE_DOMAIN.sub(". ", _LINK.sub(_LINK_REMOVED, seen))
    tidy = _BLANKS.sub(" ", unlinked).strip()
    return tidy if len(tidy) <= limit else f"{tidy[: limit - 1].rstrip()}…"


@functools.lru_cache(maxsize=4096)
def own(text: str) -> str:
    """A sentence of ``rules/`` as Markdown that shows just that. Remembered: never use it for chart text."""
    return _as_text(text)


def fact_sentence(
    fact: Fact, date_words: Mapping[str, str], undated: str, certainty_words: Mapping[str, str] = NO_WORDS
) -> str:
    """One dated fact: the chart's words in quotation marks, its value and limit, and what kind of date it has (C7).

    ``date_words`` maps Fact.date_kind to the words for it, ``certainty_words`` Fact.certainty where it is not exact.
    """
    said = f"“{escape(fact.label).translate(_INNER_QUOTES)}”"
    if fact.value:
        said += f": {escape(fact.value)}"
    if fact.threshold:
        said += f" (limit {escape(fact.threshold)})"
    if fact.certainty in certainty_words:
        said += f" ({certainty_words[fact.certainty]})"
    if not fact.date:
        return f"{said}, {undated}"
    kind = date_words.get(fact.date_kind or "", "")
    return f"{said}, {f'{kind} {escape(readable_date(fact.date))}'.strip()}"


def readable_date(text: str) -> str:
    """A FHIR date or dateTime without seconds: ``2026-11-24 10:00 +01:00``."""
    return _TIME.sub(r" \1 ", text, count=1).replace("Z", "UTC").rstrip()


def _is_ordinary(text: str, limit: int) -> bool:
    """Whether nothing need be done: short, and of characters that mean nothing to anybody. Most chart text is."""
    return len(text) <= limit and bool(_ORDINARY.fullmatch(text)) and not _NOT_ORDINARY.search(text)


def _is_visible(character: str) -> bool:
    if character.isascii():
        return character.isprintable()
    if character in _INVISIBLE or "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return False
    return unicodedata.category(character) not in _UNSEEN_CATEGORIES


def _as_text(text: str) -> str:
    marked = _MARKDOWN.sub(r"\\\g<0>", text)
    if start := _LIST_START.match(marked):
        at = start.start(2) if start[2] else 0
        marked = f"{marked[:at]}\\{marked[at:]}"
    return _HTML.sub(lambda m: _ENTITIES[m[0]], marked)
