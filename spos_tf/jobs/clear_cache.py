"""Ends the cache of decoded images."""

import os

from spos_tf.data.cache_folder import clear_folder, folder_of, size_words
from spos_tf.jobs.notes import tell


def clear_cache(cache_dir: str | os.PathLike[str] | None = None) -> int:
    """Removes the decoded images that searches have kept on this machine.

    Logs a line for every file, with its size. Nothing is lost: the next
    search decodes its images again.

    Args:
        cache_dir: Folder of decoded images; as in `SearchOptions`.

    Returns:
        Bytes that were freed.

    Raises:
        UserError: A file cannot be removed.

    Example:
        >>> spos_tf.clear_cache()  # doctest: +SKIP
        10538160000
    """
    folder = folder_of(cache_dir)
    freed = clear_folder(folder, tell)
    tell(f"Freed {size_words(freed)} in {str(folder)!r}.")
    return freed
