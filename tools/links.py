"""Links in a work_dir that would lead a tool's writing out of it."""

import pathlib

from spos_tf.errors import UserError


def refuse_links_out(folder: pathlib.Path, work_dir: pathlib.Path) -> None:
    """Looks at a run's folder, what is in it, and the files beside it.

    Args:
        folder: `work_dir/stage/name`; may be missing.
        work_dir: May itself be a link, or be reached through one.

    Raises:
        UserError: One of them is a link that leads out of the work_dir.
    """
    root = work_dir.resolve()
    looked_at = [folder.parent, folder]
    for parent in (folder.parent, folder):
        if parent.is_dir():
            looked_at += [path for path in parent.iterdir() if path != folder]
    for path in looked_at:
        # A run beside this one is its own tool's matter.
        if path.parent == folder.parent and path.is_dir() and path != folder:
            continue
        if path.is_symlink() and not _resolved(path).is_relative_to(root):
            raise UserError(
                f"A run writes within --work_dir only; {str(path)!r} is a link "
                "to elsewhere. Remove it, or name the place itself by "
                "--work_dir."
            )


def _resolved(path: pathlib.Path) -> pathlib.Path:
    try:
        return path.resolve()
    # Links in a circle, before Python 3.13.
    except RuntimeError:
        return path.absolute()
