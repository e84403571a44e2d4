r"""Shows all that is in a work_dir on one page, a single HTML file.

Examples:
  python tools/report.py --work_dir=runs/demo
  python tools/report.py --work_dir=runs/demo --output=demo.html

Writes work_dir/report.html, which any browser opens: it needs no network, no
other file and no JavaScript. It shows the networks that were found and drawn
block by block, searches, fronts, how often the best candidates took each
option, training curves, rank correlation, latency, exported files, and the
commands that repeat every run; of a work_dir that is not finished what there
is, and the commands for the rest. It changes nothing else there and waits for
nobody, so it may run while training and searches do. See docs/report.md.
"""

import pathlib

import program
from absl import flags, logging

from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError

FLAGS = flags.FLAGS

flags.DEFINE_string("work_dir", None, "Folder of results to show.")
flags.mark_flag_as_required("work_dir")
flags.DEFINE_string(
    "output", None, "The file to write; report.html in --work_dir if unset."
)
flags.DEFINE_multi_string(
    "search_space",
    [],
    "Repeatable; a file of your own that networks of the work_dir are of, at "
    "the path that they name: its code is run, to draw them. Those of other "
    "files are shown by their choices.",
)


def _checked_folder() -> pathlib.Path:
    folder = pathlib.Path(FLAGS.work_dir)
    if not folder.is_dir():
        raise UserError(
            f"--work_dir is a folder of results; there is none at "
            f"{str(folder)!r}. Start with tools/train_supernet.py."
        )
    return folder


def main() -> None:
    """Reads the folder and writes the page."""
    folder = _checked_folder()
    output = pathlib.Path(FLAGS.output or folder / "report.html")
    if output.is_dir():
        raise UserError(f"--output is a file; {str(output)!r} is a folder.")
    from spos_tf.report.page import report_page
    from spos_tf.report.work_dir import TOOLS, read_work_dir
    from spos_tf.spaces import preset_names

    for space in FLAGS.search_space:
        # Loads the file; nothing that the work_dir names is.
        preset_names(space)
    work_dir = read_work_dir(folder)
    if not work_dir.all_runs():
        raise UserError(
            f"There is nothing to report in {str(folder)!r}: it has no run in "
            f"{', '.join(f'{stage}/' for stage in TOOLS)}. Start with "
            "tools/train_supernet.py, or name another --work_dir."
        )
    page = report_page(work_dir)
    try:
        with unfinished(output) as path:
            # Names of files and texts of JSON may hold half characters.
            path.write_bytes(page.encode("utf-8", "replace"))
    except OSError as error:
        raise UserError(
            f"Cannot write {str(output)!r}: {error.strerror}. Give another "
            "--output."
        ) from None
    logging.info("See %s.", output)


if __name__ == "__main__":
    program.run(main)
