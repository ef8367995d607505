"""Titles as they are said."""

from __future__ import annotations

import pytest

from feedmill.datasets.titles import split_year, spoken


@pytest.mark.parametrize(
    ("title", "plain", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Assembly (Ji jie hao) (2007) ", "Assembly (Ji jie hao)", 2007),
        ("Death Note: Desu nôto (2006–2007)", "Death Note: Desu nôto", 2006),
        ("Babylon 5", "Babylon 5", None),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey", 1968),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
    ],
)
def test_years(title: str, plain: str, year: int | None) -> None:
    assert split_year(title) == (plain, year)


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Net, The", "The Net"),
        ("Avventura, L'", "L'Avventura"),
        ("Cry, the Beloved Country", "Cry, the Beloved Country"),
        ("I, Robot", "I, Robot"),
        ("Paris, Texas", "Paris, Texas"),
        ("Good, the Bad and the Ugly, The", "The Good, the Bad and the Ugly"),
        ("Wings of Desire (Himmel über Berlin, Der)", "Wings of Desire (Der Himmel über Berlin)"),
        (
            "City of Lost Children, The (Cité des enfants perdus, La)",
            "The City of Lost Children (La Cité des enfants perdus)",
        ),
        ("Macbeth (a.k.a. Tragedy of Macbeth, The)", "Macbeth (a.k.a. The Tragedy of Macbeth)"),
    ],
)
def test_articles(title: str, said: str) -> None:
    assert spoken(title) == said
