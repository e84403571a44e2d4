r"""Measures a latency table on this machine, and how honest it is.

Example:
  spos build_latency_table --search_space=shufflenet_blocks \
      --runtime=tflite --threads=1 --output=runs/latency.yaml \
      --check_architectures=30

Exports every distinct part of the space's networks (each block with each of
its options, stem and head) and times it in the runtime. --output is the
table; with --check_architectures, OUTPUT.report.json and OUTPUT.report.md
compare its predictions with whole networks measured end to end. What is
measured is kept in OUTPUT.partial.json at once: start it again to resume.
Leave the machine alone meanwhile. See docs/latency.md.
"""

import dataclasses
import pathlib

from spos_tf.cli.following import command_line
from spos_tf.cli.program import Command, Given
from spos_tf.options import LatencyOptions, Options, SpaceOptions, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Options(Options):
    output: str | None = option(None, "The table to write, a YAML file.")


def main(given: Given) -> str:
    """Builds the table, or reads it where it is there, and checks it."""
    from spos_tf.cli.objects import blueprint_of
    from spos_tf.jobs.latency import build_latency_table

    blueprint = blueprint_of(given(SpaceOptions))
    output = pathlib.Path(str(given(_Options).output))
    options = given(LatencyOptions)
    table = build_latency_table(blueprint, output, options=options)
    print(f"{len(table.entries)} parts: {output}")
    if options.check_architectures:
        report = output.with_name(f"{output.name}.report.md")
        print(report.read_text("utf-8"), end="")
    return command_line(
        "search", work_dir="DIR", latency_table=output, max_latency_ms="MOST"
    )


COMMAND = Command(
    __doc__, (_Options, SpaceOptions, LatencyOptions), main, ("output",)
)
