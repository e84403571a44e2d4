r"""Measures a latency table, and checks how well it predicts whole networks.

Example:
  spos build_latency_table --search_space=shufflenet_blocks \
      --runtime=tflite --threads=1 --output=runs/latency.yaml \
      --check_architectures=30

Exports every distinct part of the space's networks (each block with each of
its options, stem and head) and times it in the runtime. --output is the
table; with --check_architectures, OUTPUT.report.json and OUTPUT.report.md
compare its predictions with whole networks measured end to end. Every
measurement is saved in OUTPUT.partial.json at once: start it again to resume.
Do nothing else on the machine meanwhile. See docs/latency.md.

For another device, write the parts with --export_parts=FOLDER, run
FOLDER/measure_parts.py there, and make the table with --import_measurements
and --output. See docs/device_latency.md.
"""

import dataclasses
import pathlib

from spos_tf.cli.following import command_line
from spos_tf.cli.program import Command, Given, set_threads
from spos_tf.errors import UserError
from spos_tf.options import LatencyOptions, Options, SpaceOptions, option
from spos_tf.options.fields import PLACE


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Options(Options):
    output: str | None = option(
        None, "The table to write, a YAML file.", effect=PLACE
    )
    export_parts: str | None = option(
        None,
        "Write the parts as files into this folder, together with the program "
        "measure_parts.py, which measures them on another device.",
        effect=PLACE,
    )
    import_measurements: str | None = option(
        None,
        "Make the table from what was measured on another device: the file "
        "that measure_parts.py wrote, or a folder with the output of "
        "benchmark_model.",
        effect=PLACE,
    )


def main(given: Given) -> str:
    """Builds the table, or reads it where it is there, and checks it."""
    from spos_tf.cli.objects import blueprint_of
    from spos_tf.jobs.latency import build_latency_table

    files, options = given(_Options), given(LatencyOptions)
    blueprint = blueprint_of(given(SpaceOptions))
    if files.export_parts is not None:
        if files.output is not None or files.import_measurements is not None:
            raise UserError(
                "`export_parts` writes no table. Leave `output` and "
                "`import_measurements` out."
            )
        manifest = build_latency_table(
            blueprint, options=options, export_parts=files.export_parts
        )
        print(f"{manifest}; measure with {manifest.parent}/measure_parts.py")
        return f"python {manifest.parent}/measure_parts.py on the device"
    if files.output is None:
        raise UserError("`output` or `export_parts` is required. Try --help.")
    output = pathlib.Path(files.output)
    if files.import_measurements is None:
        if options.runtime == "tensorflow":
            # A library call leaves the threads of its process alone.
            set_threads(options.threads)
        table = build_latency_table(blueprint, output, options=options)
        is_checked = bool(options.check_architectures)
    else:
        typed = [
            one.name
            for one in LatencyOptions.described()
            if given.is_typed(one.name)
        ]
        if typed:
            raise UserError(
                "The file of `import_measurements` says how it was measured; "
                f"got `{typed[0]}` too. Leave it out."
            )
        table = build_latency_table(
            blueprint, output, import_measurements=files.import_measurements
        )
        is_checked = True
    print(f"{len(table.entries)} parts: {output}")
    report = output.with_name(f"{output.name}.report.md")
    if is_checked and report.exists():
        print(report.read_text("utf-8"), end="")
    return command_line(
        "search", work_dir="DIR", latency_table=output, max_latency_ms="MOST"
    )


COMMAND = Command(__doc__, (_Options, SpaceOptions, LatencyOptions), main)
