r"""Shows all that is in a work_dir on one page, a single HTML file.

Examples:
  spos report --work_dir=runs/demo
  spos report --work_dir=runs/demo --output=demo.html

Writes work_dir/report.html, which any browser opens: it needs no network, no
other file and no JavaScript. It shows the networks that were found and drawn
block by block, searches, fronts, how often the best candidates took each
option, training curves, rank correlation, latency, exported files, and the
commands that repeat every run. If a work_dir is not finished, the page shows
what there is, and the commands for the rest. Nothing else in the work_dir is
changed. A report can be written while a training or a search runs. See
docs/report.md.
"""

import dataclasses

from spos_tf.cli.program import Command, Given
from spos_tf.options import Options, option
from spos_tf.options.fields import PLACE


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Options(Options):
    work_dir: str | None = option(None, "Folder of the results to show.")
    output: str | None = option(
        None,
        "The file to write; report.html in the work_dir if unset.",
        effect=PLACE,
    )
    search_space: tuple[str, ...] = option(
        (),
        "Your own Python file that defines the search space of networks in "
        "the work_dir, at the path that their files name. Its code is run to "
        "draw the networks. Without it, they are shown by their choices. May "
        "be repeated.",
        repeated=True,
    )


def main(given: Given) -> str:
    """Reads the folder and writes the page."""
    from spos_tf.jobs.report import write_report

    options = given(_Options)
    page = write_report(
        str(options.work_dir), options.output, options.search_space
    )
    return f"open {page} in a browser"


COMMAND = Command(__doc__, (_Options,), main, ("work_dir",))
