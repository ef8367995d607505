"""Film titles as people say them, out of titles as a library catalogue sorts them."""

from __future__ import annotations

import re

_ARTICLES = "The|A|An|Le|La|Les|L'|Un|Une|Una|Il|Lo|I|El|Los|Las|De|Der|Die|Das|Det|O"
# Each name ends at a bracket or at the end: "City of Lost Children, The (Cité des enfants perdus, La)".
_LAST = re.compile(rf"(?P<aka>a\.k\.a\. )?(?P<rest>[^()]+), (?P<article>{_ARTICLES})(?=\s*[()]|\s*$)")
_YEAR = re.compile(r"\s*\((?P<year>\d{4})(?:[-–]\d{0,4})?\)\s*$")


def split_year(title: str) -> tuple[str, int | None]:
    """The title without the year behind it, and the (first) year."""
    found = _YEAR.search(title)
    return (title[: found.start()].strip(), int(found["year"])) if found else (title.strip(), None)


def spoken(title: str) -> str:
    """Articles back in front: "Net, The" -> "The Net", "Avventura, L'" -> "L'Avventura"."""
    return _LAST.sub(_article_first, title)


def _article_first(found: re.Match[str]) -> str:
    article = found["article"] if found["article"].endswith("'") else found["article"] + " "
    return f"{found['aka'] or ''}{article}{found['rest']}"
