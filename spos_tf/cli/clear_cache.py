"""Removes the decoded images that searches have kept on this machine.

Example:
  spos clear_cache

Searches and comparisons keep decoded images that do not fit in memory in one
folder, for later ones. This command lists what is there, with sizes, and
removes it. Nothing is lost: the next search decodes its images again.
"""

from spos_tf.cli.program import Command, Given
from spos_tf.options import CachePlaceOptions


def main(given: Given) -> str:
    """Removes what is there."""
    from spos_tf.jobs.clear_cache import clear_cache

    clear_cache(given(CachePlaceOptions).cache_dir)
    return "The next search decodes its images again."


COMMAND = Command(__doc__, (CachePlaceOptions,), main)
