"""How every picture looks: its size, its letters, colours that colour-blind people tell apart, the same bytes again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from feedmill.core.errors import ConfigError

# Okabe and Ito, Color Universal Design, 2008. Yellow is left out: on white nobody reads it.
INK, GREY, PALE = "#222222", "#8c8c8c", "#b9dcf0"
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7"
WIDTH = 10.0  # inches; shown 960 pixels wide, a letter of 10.5 points is 14 pixels
DPI = 160
STYLE = {
    "font.size": 10.5,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 2.0,
}


def pyplot() -> Any:
    """matplotlib's, drawing to files alone.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        raise ConfigError(
            "matplotlib is not installed", "it, to draw the figures", "pip install 'feedmill[report]'"
        ) from None
    mpl.use("agg")
    from matplotlib import pyplot as library

    return library


@contextmanager
def canvas(file: Path, columns: int = 1, rows: int = 1, height: float = 4.2, **how: Any) -> Iterator[Any]:
    """A grid of axes, [rows, columns], that is written to the file when the block ends.

    Args:
        height: inches of the whole.
        how: of ``pyplot.subplots``.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    library = pyplot()
    with library.rc_context(STYLE):
        figure, grid = library.subplots(
            rows, columns, figsize=(WIDTH, height), squeeze=False, layout="constrained", **how
        )
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
        try:
            yield grid
            figure.savefig(file, dpi=DPI, facecolor="white", metadata={"Software": None})
        finally:
            library.close(figure)


def plain_log(axis: Any) -> None:
    """Powers of ten as people write them: 0.01, 1, 1,000."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:.10f}".rstrip("0")))
