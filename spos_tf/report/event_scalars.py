"""Scalars of a training run, read back from its TensorBoard event files."""

import pathlib
import re

from spos_tf.strict_json import is_number

Scalars = dict[str, dict[int, float]]

# What a TFRecord has beside its bytes: a length and two checksums.
_FRAME = 16


def read_scalars(folder: pathlib.Path, problems: list[str]) -> Scalars:
    """The scalars in a folder of event files.

    A run that was stopped and went on left several files, and the later ones
    begin at or before a step that the earlier ones reached: after the first
    step of a file, its figures are the run's. Of that step itself it may have
    some alone: a validation is repeated, a report before it is not.

    Args:
        folder: May be missing; what lies deeper (profiles) is not read.
        problems: Gets a line for every file that is damaged. What stands
            before the damage is read. A file's last record may be unfinished
            while the run goes on, which nobody can tell from damage.

    Returns:
        `{tag: {step: value}}`, steps ascending.
    """
    found = folder.glob("*.tfevents.*") if folder.is_dir() else ()
    files = sorted((path for path in found if path.is_file()), key=_made)
    parts = [_read_file(path, problems) for path in files]
    merged: Scalars = {}
    for part in parts:
        starts = [step for series in part.values() for step in series]
        if not starts:
            continue
        start = min(starts)
        for series in merged.values():
            for step in [one for one in series if one > start]:
                del series[step]
        for tag, series in part.items():
            merged.setdefault(tag, {}).update(series)
    return {
        tag: dict(sorted(series.items()))
        for tag, series in sorted(merged.items())
        if series
    }


def _made(path: pathlib.Path) -> tuple[list[int], str]:
    """Sorts by when files were made: their names say the second, and a number.

    As text, the tenth file of a second would stand before the second.
    """
    return [int(number) for number in re.findall(r"\d+", path.name)], path.name


def _read_file(path: pathlib.Path, problems: list[str]) -> Scalars:
    from tensorboard.backend.event_processing.event_file_loader import (
        RawEventFileLoader,
    )
    from tensorboard.compat.proto import event_pb2
    from tensorboard.util import tensor_util

    found: Scalars = {}
    read = 0
    try:
        size = path.stat().st_size
        for record in RawEventFileLoader(str(path)).Load():
            event = event_pb2.Event.FromString(record)
            read += len(record) + _FRAME
            for value in event.summary.value:
                number = None
                if value.HasField("tensor"):
                    array = tensor_util.make_ndarray(value.tensor)
                    number = array.item() if array.size == 1 else None
                elif value.HasField("simple_value"):
                    number = value.simple_value
                if number is not None and is_number(number):
                    found.setdefault(value.tag, {})[event.step] = float(number)
    # Whatever TensorBoard, TensorFlow and protobuf raise on damage: their
    # errors have no class in common.
    except Exception as error:
        reason = " ".join(str(error).split())
        problems.append(f"events/{path.name} could not be read: {reason}.")
        return found
    if read < size:
        problems.append(
            f"events/{path.name}: the last {size - read:,} of {size:,} bytes "
            "could not be read: damaged, or being written."
        )
    return found
