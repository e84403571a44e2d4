"""A figure of matplotlib, written as a PNG file or as SVG for the page.

A function draws on an empty figure and does not know what becomes of it.
matplotlib is imported when something is drawn: loading it takes a while.
"""

import contextlib
import io
import pathlib
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from spos_tf.atomic_write import unfinished
from spos_tf.errors import system_errors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Told apart by every kind of eye, and in grey by marker and line style
# (Okabe and Ito's palette).
STYLES = (
    ("#D55E00", "o", "-"),
    ("#0072B2", "^", "--"),
    ("#009E73", "s", "-."),
    ("#CC79A7", "D", ":"),
    ("#000000", "v", "-"),
)
GREY = "#8A939C"
# More dots than this become one bitmap within the SVG.
MANY = 1500
PNG_SIZE, PAGE_SIZE, SMALL_SIZE = (8.0, 5.5), (5.4, 3.7), (3.8, 2.7)

_SETTINGS: dict[Any, Any] = {
    # Names may hold dollars and need not be formulas.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "0.5",
    "axes.axisbelow": True,
    "axes.grid": True,
    # Seen on white and on black.
    "grid.color": "0.5",
    "grid.alpha": 0.25,
    "legend.fontsize": "small",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}
_LINE_HEIGHT = 0.18
_LARGEST = 1e30

Draw = Callable[["Figure"], None]


def label(text: str, most: int = 40) -> str:
    """A text of a file as a label: printable, and not too long.

    >>> label("a" + chr(0)), label("_x"), label("long" * 20, most=9)
    ('a?', ' _x', 'longlong…')
    """
    text = "".join(one if one.isprintable() else "?" for one in text)
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    # matplotlib leaves labels that begin with an underscore out of legends.
    return f" {text}" if text.startswith("_") else text


def drawable(value: float) -> float:
    """A value of a file, as near as matplotlib can scale without overflow."""
    return min(max(value, -_LARGEST), _LARGEST)


def add_legend(figure: "Figure") -> None:
    """Puts the first axes' legend below, where it hides nothing."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    width, height = map(float, figure.get_size_inches())
    # In inches: the longest text, and the line or marker beside it.
    column = 0.5 + 0.065 * max(map(len, labels))
    columns = 2 if len(labels) > 1 and 2 * column < width else 1
    rows = -(-len(labels) // columns)
    figure.set_size_inches(width, height + _LINE_HEIGHT * rows)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def write_png(
    draw: Draw,
    path: str | pathlib.Path,
    *,
    size: tuple[float, float] = PNG_SIZE,
) -> None:
    """Draws a picture file; it appears whole or not at all.

    Args:
        draw: Draws on the figure.
        path: Where to; an old file is replaced.
        size: Width and height without the legend, in inches.

    Raises:
        UserError: The file cannot be written.
    """
    with (
        _figure(draw, size) as figure,
        system_errors("write", path),
        unfinished(path) as temporary,
    ):
        figure.savefig(temporary, format="png", dpi=120)


def draw_svg(
    draw: Draw, *, title: str, size: tuple[float, float] = PAGE_SIZE
) -> str:
    """Draws an `<svg>` element for the page; its texts stay text.

    The same drawing gives the same characters.

    Args:
        draw: Draws on the figure.
        title: What the chart shows, for people who cannot see it. No two
            charts of a page share one, since ids are made from it.
        size: Width and height without the legend, in inches.
    """
    title = label(title, most=300)
    text = io.StringIO()
    with _figure(draw, size, salt=title) as figure:
        figure.savefig(text, format="svg", dpi=144, transparent=True)
    return _element(ET.fromstring(text.getvalue()), title)


@contextlib.contextmanager
def _figure(
    draw: Draw, size: tuple[float, float], salt: str | None = None
) -> Iterator["Figure"]:
    import matplotlib
    from matplotlib.figure import Figure

    with (
        matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": salt}),
        warnings.catch_warnings(),
    ):
        # A browser has a font for letters that matplotlib's lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=size)
        draw(figure)
        yield figure


def _element(root: ET.Element, title: str) -> str:
    """Matplotlib's document as an element within HTML.

    HTML knows the name spaces. The style of the document would be that of the
    whole page, ids would stand on it once a chart, and the date of the
    drawing is left out with the other metadata.
    """
    linked = {
        name
        for element in root.iter()
        for value in element.attrib.values()
        for name in re.findall(r"#([\w-]+)", value)
    }
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        attributes = {
            _local(name): _rounded(value) if name in "dxy" else value
            for name, value in element.attrib.items()
            if name != "id" or value in linked
        }
        element.attrib.clear()
        element.attrib.update(attributes)
        element.tail = None
    root.attrib = {
        "class": "chart",
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": title,
    }
    heading = ET.Element("title")
    heading.text = title
    root.insert(0, heading)
    return ET.tostring(root, "unicode")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _rounded(value: str) -> str:
    """Numbers to a hundredth of a point, which nobody sees."""
    value = re.sub(r"\d+\.\d+", lambda one: f"{float(one[0]):.2f}", value)
    return " ".join(value.split())
