"""Charts that are drawn, but not written: writing is what takes the time."""

import html

from matplotlib.figure import Figure

from spos_tf.report import results, search_results


def leave_unwritten(monkeypatch):
    """For tests of what a report reads, not of how its charts look."""

    def draw_svg(draw, *, title, size=(4, 3)):
        draw(Figure(figsize=size))
        return f'<svg class="chart" aria-label="{html.escape(title)}"></svg>'

    for module in (results, search_results):
        monkeypatch.setattr(module, "draw_svg", draw_svg)
