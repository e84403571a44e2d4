r"""Measures a latency table on this machine, and how honest it is.

Example:
  python tools/build_latency_table.py --search_space=shufflenet_blocks \
      --runtime=tflite --threads=1 --output=runs/latency.yaml \
      --check_architectures=30

Exports every distinct part of the space's networks (each block with each of
its options, stem and head) and times it in the runtime. --output is the
table; with --check_architectures, OUTPUT.report.json and OUTPUT.report.md
compare its predictions with whole networks measured end to end. What is
measured is kept in OUTPUT.partial.json at once: start it again to go on where
it stopped. Leave the machine alone meanwhile. See docs/latency.md.
"""

import json
import pathlib
from typing import Any

import numpy as np
import tqdm
from absl import flags, logging

import program
import shared_flags
from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError
from spos_tf.strict_json import parse_json

FLAGS = flags.FLAGS

shared_flags.define_space()
flags.DEFINE_string("output", None, "The table to write, a YAML file.")
flags.mark_flag_as_required("output")
flags.DEFINE_enum(
    "runtime",
    "tflite",
    ["tflite", "onnxruntime", "tensorflow"],
    "What runs the networks.",
)
flags.DEFINE_integer("threads", 1, "CPU threads of the runtime.", lower_bound=1)
flags.DEFINE_integer("batch", 1, "Images of one call.", lower_bound=1)
flags.DEFINE_integer(
    "warmup", 3, "Rounds before those that are measured.", lower_bound=0
)
flags.DEFINE_integer(
    "repeats", 30, "Calls of every part in each pass.", lower_bound=1
)
flags.DEFINE_integer(
    "passes", 3, "Times that the whole space is gone through.", lower_bound=1
)
flags.DEFINE_integer(
    "check_architectures",
    0,
    "Networks of each kind (spread over the range; uniform) to compare "
    "predictions with; 0 for no report.",
    lower_bound=0,
)
flags.DEFINE_integer(
    "check_rounds", 25, "Calls of every network in each series.", lower_bound=20
)

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
        _refuse_changed(before, settings, path)

    def add(self, index: int, samples: dict[str, list[float]]) -> None:
        """Keeps samples of a pass."""
        while len(self.passes) <= index:
            self.passes.append({})
        for key, values in samples.items():
            self.passes[index].setdefault(key, []).extend(values)
        with unfinished(self._path) as temporary:
            text = json.dumps(
                {"settings": self._settings, "passes": self.passes}
            )
            temporary.write_text(text, "utf-8")

    def has(self, index: int, key: str) -> bool:
        """Whether a pass has measured something."""
        return len(self.passes) > index and key in self.passes[index]

    def samples(self) -> dict[str, list[float]]:
        """All samples of all passes."""
        merged: dict[str, list[float]] = {}
        for samples in self.passes:
            for key, values in samples.items():
                merged.setdefault(key, []).extend(values)
        return merged

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


def _refuse_changed(
    before: dict[str, Any], now: dict[str, Any], path: pathlib.Path
) -> None:
    different = [
        f"{name} {before.get(name)} (now {now.get(name)})"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if different:
        raise UserError(
            f"{str(path)!r} was measured with other settings: "
            f"{'; '.join(different)}. Use the same flags on the same machine, "
            "or another --output."
        )


def _settings(blueprint) -> dict[str, Any]:
    from spos_tf.export.machine import describe_machine
    from spos_tf.networks.blueprint import plain_arguments

    return {
        "search_space": blueprint.search_space.name,
        "space_arguments": plain_arguments(blueprint.space_arguments),
        "machine": describe_machine(FLAGS.runtime),
        "runtime": FLAGS.runtime,
        "threads": FLAGS.threads,
        "batch": FLAGS.batch,
    }


def _open(model):
    from spos_tf.export.timing import open_session

    return open_session(
        model, FLAGS.runtime, threads=FLAGS.threads, batch=FLAGS.batch
    )


def _network_key(encoding) -> str:
    from spos_tf.space.search_space import format_encoding

    return f"network {format_encoding(encoding)}"


def _build(blueprint, partial, settings, output):
    """Measures what is missing and writes the table; returns what it says."""
    from spos_tf.cost.latency_entries import MeasuredTable
    from spos_tf.export import part_timing
    from spos_tf.networks.subnet import build_subnet

    parts = part_timing.distinct_parts(blueprint)
    encodings = part_timing.anchors(blueprint)
    wanted = [part for part in parts if part.does_something]
    groups = [
        wanted[start : start + _GROUP]
        for start in range(0, len(wanted), _GROUP)
    ]
    missing = [
        (index, group)
        for index in range(FLAGS.passes)
        for group in groups
        if not all(partial.has(index, part.key) for part in group)
    ]
    sessions: dict[str, Any] = {}
    companions: dict[str, Any] = {}
    with tqdm.tqdm(total=FLAGS.passes * len(wanted), unit="part") as bar:
        done = sum(len(group) for group in groups) * FLAGS.passes
        bar.update(done - sum(len(group) for _, group in missing))
        for index, group in missing:
            for encoding in encodings if not companions else ():
                key = _network_key(encoding)
                bar.set_description(f"exporting {key[:20]}")
                companions[key] = _open(build_subnet(blueprint, encoding))
            for part in group:
                if part.key not in sessions:
                    bar.set_description(f"exporting {part.key}")
                    sessions[part.key] = _open(part.build())
            bar.set_description(f"pass {index + 1}")
            samples = part_timing.measure(
                {part.key: sessions[part.key] for part in group},
                companions,
                FLAGS.repeats,
                warmup=FLAGS.warmup,
                seed=index,
            )
            partial.add(index, samples)
            bar.update(len(group))
    samples = partial.samples()
    entries = part_timing.entries(parts, samples)
    network_ms = np.array(
        [np.median(samples[_network_key(encoding)]) for encoding in encodings]
    )
    overhead = part_timing.overhead_ms(
        blueprint, entries, encodings, network_ms
    )
    table = MeasuredTable(
        **settings,
        overhead_ms=round(overhead, 6),
        entries=entries,
        source=repr(str(output)),
    )
    table.write(output)
    # The file rounds, and it is the file that predicts.
    return _read(output, settings)


def _read(output, settings):
    from spos_tf.cost.latency import read_latency_table
    from spos_tf.cost.latency_entries import MeasuredTable

    table = read_latency_table(output)
    if not isinstance(table, MeasuredTable):
        raise UserError(
            f"{str(output)!r} is there and was not measured by this tool. "
            "Choose another --output."
        )
    before = {name: getattr(table, name) for name in settings}
    _refuse_changed(before, settings, output)
    return table


def _check(blueprint, table, settings, output):
    """Compares predictions with whole networks."""
    from spos_tf.analysis.latency_report import (
        Comparison,
        build_report,
        write_report,
    )
    from spos_tf.cost.latency import latency_table
    from spos_tf.cost.spread import spread_encodings
    from spos_tf.export.timing import interleaved
    from spos_tf.networks.subnet import build_subnet

    costs = latency_table(blueprint, table)
    space = blueprint.search_space
    count = FLAGS.check_architectures
    # Not the seed of the anchors: these are networks that it has not seen.
    uniform = space.sample(np.random.default_rng(1), count)
    spread = spread_encodings(costs, space, count)
    encodings = np.concatenate([spread, uniform])
    opened: dict[str, Any] = {}
    for encoding in tqdm.tqdm(encodings, "exporting networks", unit="network"):
        key = _network_key(encoding)
        if key not in opened:
            opened[key] = _open(build_subnet(blueprint, encoding))
    sessions = [opened[_network_key(encoding)] for encoding in encodings]
    total = 2 * (FLAGS.check_rounds + FLAGS.warmup)
    with tqdm.tqdm(total=total, desc="measuring", unit="round") as bar:
        first, second = (
            np.median(
                interleaved(
                    sessions,
                    FLAGS.check_rounds,
                    warmup=FLAGS.warmup,
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
    report = build_report(
        {
            "table": output.name,
            **settings,
            "overhead_ms": table.overhead_ms,
            "rounds": FLAGS.check_rounds,
        },
        *sets,
    )
    text_path = output.with_name(f"{output.name}.report.md")
    write_report(
        report, output.with_name(f"{output.name}.report.json"), text_path
    )
    print(text_path.read_text("utf-8"), end="")


def main() -> None:
    """Builds the table, or reads it where it is there, and checks it."""
    output = pathlib.Path(FLAGS.output)
    if FLAGS.check_architectures == 1:
        raise UserError("--check_architectures is 0 or at least 2; got 1.")
    blueprint = shared_flags.blueprint()
    from spos_tf.export.timing import set_tensorflow_threads

    if FLAGS.runtime == "tensorflow":
        set_tensorflow_threads(FLAGS.threads)
    settings = _settings(blueprint)
    partial_path = output.with_name(f"{output.name}.partial.json")
    if output.exists():
        table = _read(output, settings)
        # Of a run that was killed between writing the one and removing it.
        partial_path.unlink(missing_ok=True)
        logging.info("%s is there already; nothing is measured anew.", output)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        partial = _Partial(
            partial_path,
            {
                **settings,
                **{
                    name: FLAGS[name].value
                    for name in ("warmup", "repeats", "passes")
                },
            },
        )
        table = _build(blueprint, partial, settings, output)
        partial.remove()
        print(f"{len(table.entries)} parts measured: {output}")
    if FLAGS.check_architectures:
        _check(blueprint, table, settings, output)


if __name__ == "__main__":
    program.run(main)
