"""A page of pictures: one HTML file that needs nothing but the PNG files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

STYLE = """
body { max-width: 960px; margin: 2rem auto; padding: 0 1rem; background: #fff; color: #222;
       font: 16px/1.5 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin-bottom: .3rem; }
h2 { font-size: 1.2rem; margin: 2.8rem 0 .5rem; }
p.of { color: #555; margin-top: 0; }
figure { margin: 0; }
img { width: 100%; height: auto; }
figcaption { max-width: 46rem; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
"""


class Picture(NamedTuple):
    """One figure of a page.

    Attributes:
        file: its name beside the page.
        title: what it is about.
        alt: what it shows, for who cannot see it.
        caption: what one sees in it, in sentences.
    """

    file: str
    title: str
    alt: str
    caption: str


class Lines(NamedTuple):
    """A small table: a header and rows of words."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def write(file: Path, title: str, of: str, table: Lines | None, pictures: Sequence[Picture]) -> None:
    """The page.

    Args:
        of: a sentence under the title that says what it was made from.
    """
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
        f'<h1>{escape(title)}</h1>\n<p class="of">{escape(of)}</p>',
        _table(table) if table else "",
        *(_figure(picture) for picture in pictures),
        "</body>\n</html>\n",
    ]
    file.write_text("\n".join(part for part in parts if part), "utf-8")


def _figure(x: Picture) -> str:
    name = escape(x.file.removesuffix(".png"))
    return (
        f'<h2 id="{name}">{escape(x.title)}</h2>\n<figure>\n<img src="{escape(x.file)}" alt="{escape(x.alt)}">\n'
        f"<figcaption>{escape(x.caption)}</figcaption>\n</figure>"
    )


def _table(x: Lines) -> str:
    head = "".join(f"<th>{escape(c)}</th>" for c in x.header)
    rows = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>\n" for row in x.rows)
    return f'<div class="wide">\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>'
