"""Shows all that is in a work_dir on one page."""

import pathlib
from collections.abc import Sequence

from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError, system_errors
from spos_tf.jobs.notes import tell
from spos_tf.paths import local_path
from spos_tf.report.page import report_page
from spos_tf.report.work_dir import TOOLS, read_work_dir
from spos_tf.spaces import preset_names


def write_report(
    work_dir: str | pathlib.Path,
    output: str | pathlib.Path | None = None,
    search_spaces: Sequence[str] = (),
) -> pathlib.Path:
    """Writes a page of everything in a work_dir, a single HTML file.

    Any browser opens it; it needs no network and no other file. Nothing else
    in the work_dir is changed, so it can be called while runs are going on.

    Args:
        work_dir: Folder of all results.
        output: The file to write; `report.html` in the work_dir if None.
        search_spaces: Your own Python files, `path/to/file.py`, that define
            search spaces of the work_dir. Their code is run to draw the
            networks. Without its file, a network is shown by its choices.

    Returns:
        The file.

    Raises:
        UserError: There is no work_dir, it holds no run, or the file cannot
            be written.

    Example:
        >>> spos_tf.write_report("runs/x")  # doctest: +SKIP
    """
    folder = local_path(work_dir, "work_dir")
    if not folder.is_dir():
        raise UserError(
            f"`work_dir` is a folder of results; there is none at "
            f"{str(folder)!r}. Start with train_supernet."
        )
    path = local_path(output or folder / "report.html", "output")
    if path.is_dir():
        raise UserError(f"`output` is a file; {str(path)!r} is a folder.")
    for space in search_spaces:
        # Loads the file; nothing that the work_dir names is loaded.
        preset_names(space)
    found = read_work_dir(folder)
    if not found.all_runs():
        raise UserError(
            f"There is nothing to report in {str(folder)!r}: it has no run in "
            f"{', '.join(f'{stage}/' for stage in TOOLS)}. Start with "
            "train_supernet, or name another `work_dir`."
        )
    page = report_page(found)
    way_out = " Give another `output`."
    with system_errors("write", path, way_out), unfinished(path) as temporary:
        # Names of files and texts of JSON may hold half characters.
        temporary.write_bytes(page.encode("utf-8", "replace"))
    tell(f"See {path}.")
    return path
