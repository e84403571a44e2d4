"""Measures a latency table, here or elsewhere, and how honest it is."""

import functools
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, overload

import numpy as np

from spos_tf.analysis.latency_report import Comparison
from spos_tf.atomic_write import write_text
from spos_tf.cost.latency import latency_table
from spos_tf.cost.latency_entries import MeasuredTable
from spos_tf.cost.spread import spread_encodings
from spos_tf.errors import UserError, check_kind
from spos_tf.export import part_timing
from spos_tf.export.part_files import export_parts as write_parts
from spos_tf.export.part_files import network_key
from spos_tf.export.timing import (
    describe_machine,
    interleaved,
    open_session,
    set_tensorflow_threads,
)
from spos_tf.jobs.latency_import import import_measurements as import_table
from spos_tf.jobs.latency_result import (
    read_table,
    refuse_changed,
    table_of,
    write_comparison,
)
from spos_tf.jobs.notes import tell
from spos_tf.networks.blueprint import (
    Blueprint,
    check_blueprint,
    plain_arguments,
)
from spos_tf.networks.subnet import build_subnet
from spos_tf.options import LatencyOptions
from spos_tf.paths import local_path
from spos_tf.progress import progress
from spos_tf.strict_json import parse_json

# Parts measured together. Few, so that a killed run loses little; the whole
# networks beside them see to it that caches are as within a network.
_GROUP = 12


class _Partial:
    """What is measured so far, and with which settings."""

    def __init__(self, path: pathlib.Path, settings: dict[str, Any]) -> None:
        self._path = path
        self._settings = settings
        self.passes: list[dict[str, list[float]]] = []
        if not path.exists():
            return
        try:
            data = parse_json(path.read_bytes())
            before, self.passes = dict(data["settings"]), data["passes"]
            if not _are_samples(self.passes):
                raise TypeError(self.passes)
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{str(path)!r} is not what this tool left there. Delete it."
            ) from None
        refuse_changed(before, settings, path)

    def add(self, index: int, samples: dict[str, list[float]]) -> None:
        """Keeps samples of a pass."""
        while len(self.passes) <= index:
            self.passes.append({})
        for key, values in samples.items():
            self.passes[index].setdefault(key, []).extend(values)
        state = {"settings": self._settings, "passes": self.passes}
        write_text(self._path, json.dumps(state))

    def has(self, index: int, key: str) -> bool:
        """Whether a pass has measured something."""
        return len(self.passes) > index and key in self.passes[index]

    def remove(self) -> None:
        """When the table is written."""
        self._path.unlink(missing_ok=True)


def _are_samples(passes: Any) -> bool:
    """Whether these are milliseconds by part, once a pass."""
    return isinstance(passes, list) and all(
        isinstance(one, dict)
        and all(
            isinstance(values, list)
            and values
            and all(type(ms) is float and ms >= 0 for ms in values)
            for values in one.values()
        )
        for one in passes
    )


def _settings(blueprint: Blueprint, options: LatencyOptions) -> dict[str, Any]:
    return {
        "search_space": blueprint.search_space.name,
        "space_arguments": plain_arguments(blueprint.space_arguments),
        "machine": describe_machine(options.runtime),
        "runtime": options.runtime,
        "threads": options.threads,
        "batch": options.batch,
    }


def _opener(options: LatencyOptions) -> Callable[[Any], Any]:
    return functools.partial(
        open_session,
        runtime=options.runtime,
        threads=options.threads,
        batch=options.batch,
    )


def _build(
    blueprint: Blueprint,
    options: LatencyOptions,
    partial: _Partial,
    settings: Mapping[str, Any],
    output: pathlib.Path,
) -> MeasuredTable:
    """Measures what is missing and writes the table; returns what it says."""
    open_model = _opener(options)
    parts = part_timing.distinct_parts(blueprint)
    encodings = part_timing.anchors(blueprint)
    wanted = [part for part in parts if part.does_something]
    groups = [
        wanted[start : start + _GROUP]
        for start in range(0, len(wanted), _GROUP)
    ]
    missing = [
        (index, group)
        for index in range(options.passes)
        for group in groups
        if not all(partial.has(index, part.key) for part in group)
    ]
    sessions: dict[str, Any] = {}
    companions: dict[str, Any] = {}
    with progress(total=options.passes * len(wanted), unit="part") as bar:
        done = sum(len(group) for group in groups) * options.passes
        bar.update(done - sum(len(group) for _, group in missing))
        for index, group in missing:
            for encoding in encodings if not companions else ():
                key = network_key(encoding)
                bar.set_description(f"exporting {key[:20]}")
                companions[key] = open_model(build_subnet(blueprint, encoding))
            for part in group:
                if part.key not in sessions:
                    bar.set_description(f"exporting {part.key}")
                    sessions[part.key] = open_model(part.build())
            bar.set_description(f"pass {index + 1}")
            samples = part_timing.measure(
                {part.key: sessions[part.key] for part in group},
                companions,
                options.repeats,
                warmup=options.warmup,
                seed=index,
            )
            partial.add(index, samples)
            bar.update(len(group))
    table = table_of(
        blueprint,
        parts,
        part_timing.merged(partial.passes),
        settings=settings,
        output=output,
    )
    table.write(output)
    return table


def _check(
    blueprint: Blueprint,
    options: LatencyOptions,
    table: MeasuredTable,
    settings: Mapping[str, Any],
    output: pathlib.Path,
) -> pathlib.Path:
    """Compares predictions with whole networks."""
    count = options.check_architectures or 0
    open_model = _opener(options)
    costs = latency_table(blueprint, table)
    space = blueprint.search_space
    # Not the seed of the anchors: these are networks that it has not seen.
    uniform = space.sample(np.random.default_rng(1), count)
    spread = spread_encodings(costs, space, count)
    encodings = np.concatenate([spread, uniform])
    opened: dict[str, Any] = {}
    for encoding in progress(
        encodings, desc="exporting networks", unit="network"
    ):
        key = network_key(encoding)
        if key not in opened:
            opened[key] = open_model(build_subnet(blueprint, encoding))
    sessions = [opened[network_key(encoding)] for encoding in encodings]
    total = 2 * (options.check_rounds + options.warmup)
    with progress(total=total, desc="measuring", unit="round") as bar:
        first, second = (
            np.median(
                interleaved(
                    sessions,
                    options.check_rounds,
                    warmup=options.warmup,
                    seed=seed,
                    progress=bar.update,
                ),
                axis=0,
            )
            for seed in (0, 1)
        )
    predicted = costs(encodings)
    sets = [
        Comparison(*(x[some] for x in (encodings, predicted, first, second)))
        for some in (slice(count), slice(count, None))
    ]
    return write_comparison(
        table,
        output,
        settings=settings,
        rounds=options.check_rounds,
        spread=sets[0],
        uniform=sets[1],
    )


@overload
def build_latency_table(
    blueprint: Blueprint,
    output: str | pathlib.Path,
    *,
    options: LatencyOptions | None = None,
    import_measurements: str | pathlib.Path | None = None,
) -> MeasuredTable: ...


@overload
def build_latency_table(
    blueprint: Blueprint,
    *,
    options: LatencyOptions | None = None,
    export_parts: str | pathlib.Path,
) -> pathlib.Path: ...


def build_latency_table(
    blueprint: Blueprint,
    output: str | pathlib.Path | None = None,
    *,
    options: LatencyOptions | None = None,
    export_parts: str | pathlib.Path | None = None,
    import_measurements: str | pathlib.Path | None = None,
) -> MeasuredTable | pathlib.Path:
    """Measures every part of a space's networks in a runtime.

    Every distinct part (each block with each of its options, stem and head)
    is exported and timed. Every measurement is saved in `OUTPUT.partial.json`
    at once: call it again to resume. Do nothing else on the machine meanwhile.

    For another device, call it twice: with `export_parts`, which only writes
    the files and a program that measures them there, and with
    `import_measurements`, which makes the table of what was measured.

    Args:
        blueprint: Description of the networks.
        output: The table to write, a YAML file. One that is there already is
            read, and nothing is measured again. Not with `export_parts`.
        options: Runtime, threads, batch, and the numbers of calls. With
            `check_architectures`, `OUTPUT.report.json` and `.report.md`
            compare predictions with whole networks. Not with
            `import_measurements`, whose file says how it was measured.
        export_parts: A folder for the parts, whole networks, manifest.json
            and measure_parts.py; see docs/device_latency.md.
        import_measurements: The file that measure_parts.py wrote, or a folder
            with the output of `benchmark_model`.

    Returns:
        The table, as the file has it; with `export_parts` the path of the
        manifest.

    Raises:
        UserError: The runtime cannot run the networks, the file that is there
            has other settings, or the measurements are of other networks.

    Example:
        >>> spos_tf.build_latency_table(  # doctest: +SKIP
        ...     blueprint, "latency.yaml",
        ...     options=spos_tf.LatencyOptions(runtime="tflite", threads=2))
    """
    check_blueprint(blueprint)
    check_kind(
        options or LatencyOptions(),
        LatencyOptions,
        "options",
        "spos_tf.LatencyOptions(...)",
    )
    if (output is None) != (export_parts is not None):
        raise UserError(
            "A table is written to `output`, parts are written to "
            "`export_parts`. Give one of the two."
        )
    if output is None:
        if import_measurements is not None:
            raise UserError(
                "`import_measurements` comes after `export_parts`: it makes "
                "the table of what was measured. Give it with `output`."
            )
        assert export_parts is not None
        return write_parts(
            blueprint,
            local_path(export_parts, "export_parts"),
            options=options or LatencyOptions(),
        )
    output = local_path(output, "output")
    if import_measurements is None:
        return _measured_here(blueprint, output, options or LatencyOptions())
    if options is not None:
        raise UserError(
            "The file of `import_measurements` says how it was measured. Leave "
            "`options` out."
        )
    return import_table(blueprint, output, import_measurements)


def _measured_here(
    blueprint: Blueprint, output: pathlib.Path, options: LatencyOptions
) -> MeasuredTable:
    if options.runtime == "tensorflow":
        set_tensorflow_threads(options.threads)
    settings = _settings(blueprint, options)
    partial_path = output.with_name(f"{output.name}.partial.json")
    if output.exists():
        table = read_table(output, settings)
        # A run that was killed between writing the one and removing it left it.
        partial_path.unlink(missing_ok=True)
        tell(f"{output} is there already; nothing is measured again.")
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        times = {
            name: getattr(options, name)
            for name in ("warmup", "repeats", "passes")
        }
        partial = _Partial(partial_path, {**settings, **times})
        table = _build(blueprint, options, partial, settings, output)
        partial.remove()
        tell(f"{len(table.entries)} parts measured: {output}.")
    if options.check_architectures:
        report = _check(blueprint, options, table, settings, output)
        tell(f"How well the sums predict whole networks: {report}.")
    return table
