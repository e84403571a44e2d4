r"""Checks every image of a data set: what is there, broken, or there twice.

Examples:
  spos check_data --dataset=folder:photos
  spos check_data --dataset=cifar10 --data_dir=DIR --output=runs/data.json

Reads every image of the training and the test split once, in parallel, as a
training reads it. Prints a table, and writes all details to --output: images
per class, files that are left out, images that cannot be read, sizes, images
that their metadata rotate, gray images, transparency that is dropped, and
images that are there more than once. The exit code is 2 if something cannot be
read. See docs/your_data.md.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spos_tf.cli.following import command_line
from spos_tf.cli.program import Command, Given, aligned
from spos_tf.errors import UserError
from spos_tf.options import Options, SourceOptions, option
from spos_tf.options.fields import PLACE

_SPLITS = ("train", "test")
# How many classes, images and groups are printed; the file has all.
_MOST = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Options(Options):
    output: str = option(
        "data.json", "The file for all details, as JSON.", effect=PLACE
    )


def main(given: Given) -> str:
    """Prints the table; refuses data that cannot be read."""
    from spos_tf.data.sources import DataSource
    from spos_tf.jobs.check_data import check_data

    output = given(_Options).output
    result = check_data(DataSource.of(given(SourceOptions)), output=output)
    print("\n".join(_lines(result)))
    print(f"All of it: {output}")
    if result["faults"]:
        raise UserError(" ".join(result["faults"]))
    return command_line(
        "train_supernet", dataset=given(SourceOptions).dataset, work_dir="DIR"
    )


def _lines(result: Mapping[str, Any]) -> list[str]:
    splits = [result["splits"][name] for name in _SPLITS]
    rows: list[Sequence[str]] = [("", *_SPLITS)]

    def row(name: str, values: Iterable[object]) -> None:
        rows.append((name, *map(str, values)))

    row("images", (one["images"] for one in splits))
    row("cannot be read", (len(one["unreadable"]) for one in splits))
    kinds = sorted({kind for one in splits for kind in one["formats"]})
    for kind in kinds:
        row(kind, (one["formats"].get(kind, 0) for one in splits))
    for side in ("height", "width"):
        for part in ("least", "median", "most"):
            row(
                f"{side}, {part}",
                (
                    f"{one[side][part]:g}" if one[side] else "-"
                    for one in splits
                ),
            )
    row("turned by metadata", (one["turned"] for one in splits))
    row("gray", (one["gray"] for one in splits))
    row("alpha, dropped", (one["alpha"] for one in splits))
    row("thin, mostly cropped away", (one["thin"] for one in splits))
    duplicates = result["duplicates"]
    row(
        "there more than once",
        (sum(map(len, duplicates["within"][name])) for name in _SPLITS),
    )
    # The smallest classes say most.
    names = sorted(
        result["classes"], key=lambda name: splits[0]["by_class"][name]
    )
    for name in names[:_MOST]:
        row(f"class {name!r}", (one["by_class"][name] for one in splits))
    lines = aligned(rows)
    if len(names) > _MOST:
        lines.append(f"and {len(names) - _MOST} classes with more images")
    for key, text in (
        ("between", "in train and in test"),
        ("of_several_classes", "in more than one class"),
    ):
        groups = duplicates[key]
        if groups:
            count = len(groups)
            images = "image is" if count == 1 else "images are"
            lines.append(
                f"{count} {images} {text} (equal "
                f"{duplicates['compared']}), for example "
                f"{' = '.join(groups[0][:_MOST])}"
            )
    return [*lines, *result["notes"]]


COMMAND = Command(__doc__, (_Options, SourceOptions), main, ("dataset",))
