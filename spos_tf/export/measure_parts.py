"""Measures the parts of a search space on the device that they are for.

`spos build_latency_table --export_parts=FOLDER` puts this file beside the
parts. Copy FOLDER to the device and run it there:

  python3 FOLDER/measure_parts.py --threads=1

It needs Python 3.8 or later, NumPy and one runtime: ai_edge_litert,
tflite_runtime or TensorFlow for TFLite files, onnxruntime for ONNX files.
What is measured is in measurements.json at once, so that it can be stopped
and started again. Copy that file back, and make the table of it:

  spos build_latency_table --import_measurements=measurements.json \
      --output=TABLE.yaml

spos_tf times networks on its own machine with the functions of this file.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import importlib
import json
import math
import os
import pathlib
import platform
import sys
import time
from importlib import metadata
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Sequence

import numpy as np

MANIFEST = "manifest.json"
# The version of both files, manifest and measurements.
SCHEMA = 1
MANIFEST_KIND = "latency_parts"
KIND = "part_measurements"

# What the measurements repeat from the manifest: they are read without it.
_REPEATED = (
    "fingerprint",
    "search_space",
    "space_arguments",
    "runtime",
    "batch",
    "spread",
    "uniform",
)
ROUNDS = ("warmup", "repeats", "passes", "check_rounds")
# Files that are open at once. Few, so that a small device has memory for
# them, and a stop loses little.
_GROUP = 12
# Modules with an `Interpreter`, by the package that holds them.
_INTERPRETERS = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
    "tensorflow": "tensorflow",
}

# Runs a network once and returns milliseconds.
Session = Callable[[], float]


class Refused(Exception):
    """What cannot be measured, and the way out, in one line."""


class Runtime(NamedTuple):
    """What runs the files.

    Attributes:
        package: The name that it is installed by.
        module: It, or the module of it that has the interpreter.
    """

    package: str
    module: Any


def load_runtime(name: str) -> Runtime:
    """Imports what runs the files of a runtime.

    Args:
        name: `"tflite"` or `"onnxruntime"`.

    Raises:
        Refused: It is not installed.
    """
    modules = {"onnxruntime": name} if name == "onnxruntime" else _INTERPRETERS
    reasons = []
    for package, path in modules.items():
        try:
            module = importlib.import_module(path)
        except ImportError as error:
            reasons.append(f"{package}: {error}")
            continue
        return Runtime(package, getattr(module, "lite", module))
    raise Refused(
        f"These files need one of the packages {', '.join(modules)}; none "
        f"can be imported ({'; '.join(reasons)}). Install one with pip."
    )


def interleaved(
    sessions: Sequence[Session],
    rounds: int,
    *,
    warmup: int,
    seed: int,
    progress: Callable[[], Any] | None = None,
) -> np.ndarray:
    """Times several sessions in turns, each round in another random order.

    What changes slowly (clock rate, other programs) then changes them all
    alike, and each finds the caches as the others left them.

    Args:
        sessions: From `open_tflite` or `open_onnx`.
        rounds: Rounds measured.
        warmup: Rounds before them.
        seed: Of the orders.
        progress: Called after every round.

    Returns:
        Milliseconds, float64 `[rounds, sessions]`.
    """
    rng = np.random.default_rng(seed)
    times = np.zeros((warmup + rounds, len(sessions)))
    for row in times:
        for index in rng.permutation(len(sessions)):
            row[index] = sessions[index]()
        if progress is not None:
            progress()
    return times[warmup:]


def by_key(keys: Iterable[str], times: np.ndarray) -> dict[str, list[float]]:
    """Milliseconds `[rounds, sessions]` by the sessions' keys."""
    columns = zip(keys, times.T.tolist())
    return {key: [round(ms, 6) for ms in column] for key, column in columns}


def input_values(shape: Sequence[int]) -> np.ndarray:
    """What a network is timed on: float32 of a shape, batch first.

    Image values for images, features of a common size for parts. Zeros would
    do, but a runtime may be quicker with them.
    """
    rng = np.random.default_rng(0)
    top = 255 if shape[-1] == 3 else 1
    return rng.uniform(0, top, tuple(shape)).astype(np.float32)


def open_tflite(
    model: bytes | str,
    values: np.ndarray,
    threads: int,
    delegates: Sequence[Any] = (),
) -> tuple[Session, list[str]]:
    """Loads a TFLite file.

    Args:
        model: The file's content, or its path.
        values: Input.
        threads: CPU threads.
        delegates: What `load_delegate` of the runtime gave.

    Returns:
        A session, and the names of the operations that run. What is timed is
        the call alone: the input is in place before, and the output is not
        copied out.
    """
    name = "model_content" if isinstance(model, bytes) else "model_path"
    given: dict[str, Any] = {name: model}
    if delegates:
        given["experimental_delegates"] = [*delegates]
    module = load_runtime("tflite").module
    interpreter = module.Interpreter(**given, num_threads=threads)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()

    def run() -> float:
        interpreter.set_tensor(source["index"], values)
        start = time.perf_counter()
        interpreter.invoke()
        return (time.perf_counter() - start) * 1e3

    # No runtime promises this method, and every one known has it.
    listed: list[Any] = getattr(interpreter, "_get_ops_details", list)()
    return run, [str(operation.get("op_name")) for operation in listed]


def open_onnx(
    path: str, values: np.ndarray, output_shape: Sequence[int], threads: int
) -> Session:
    """Loads an ONNX file with the input `image` and the output `logits`.

    Args:
        path: The file.
        values: Input.
        output_shape: Of the output for that input.
        threads: CPU threads.

    Returns:
        A session, timed as in `open_tflite`.
    """
    onnxruntime = load_runtime("onnxruntime").module
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    of_numpy = onnxruntime.OrtValue.ortvalue_from_numpy
    source = of_numpy(values)
    target = of_numpy(np.zeros(tuple(output_shape), np.float32))
    binding = session.io_binding()
    binding.bind_ortvalue_input("image", source)
    binding.bind_ortvalue_output("logits", target)

    def run() -> float:
        start = time.perf_counter()
        session.run_with_iobinding(binding)
        return (time.perf_counter() - start) * 1e3

    return run


def describe_machine(package: str) -> dict[str, Any]:
    """Processor, cores, system, Python and the version of a package."""
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        # Some systems install the modules alone.
        version = "unknown"
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        package: version,
    }


def _processor() -> str:
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        text = ""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "Hardware"):
            return value.strip()
    return platform.processor() or platform.machine()


class Step(NamedTuple):
    """Files that are measured together, and saved together.

    Attributes:
        section: `"passes"` of parts or `"series"` of whole networks.
        number: Which of them.
        keys: What is missing of it.
        beside: Keys of what is called in the same rounds.
        rounds: Calls of each.
    """

    section: str
    number: int
    keys: list[str]
    beside: list[str]
    rounds: int


def _steps(manifest: dict[str, Any], rounds: dict[str, int]) -> Iterator[Step]:
    """Everything that there is to measure, in order."""
    parts = [part["key"] for part in manifest["parts"]]
    for index in range(rounds["passes"]):
        for keys in _groups(parts):
            yield Step(
                "passes", index, keys, manifest["anchors"], rounds["repeats"]
            )
    networks = [*dict.fromkeys([*manifest["spread"], *manifest["uniform"]])]
    # Each group gets some of the cheap and some of the dear ones.
    order = np.random.default_rng(0).permutation(len(networks))
    mixed = [networks[index] for index in order]
    for index in (0, 1):
        for keys in _groups(mixed):
            yield Step("series", index, keys, [], rounds["check_rounds"])


def _groups(keys: list[str]) -> Iterator[list[str]]:
    count = math.ceil(len(keys) / _GROUP)
    for number in range(count):
        yield keys[number::count] if count > 1 else keys


def read_manifest(folder: pathlib.Path) -> dict[str, Any]:
    """Reads the manifest, and checks that the files are those it names.

    Raises:
        Refused: It cannot be read, or a file is missing or another.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes().decode("utf-8"))
        kind = manifest["schema"], manifest["kind"]
        entries = [*manifest["parts"], *manifest["networks"]]
        known = manifest["files"]
        names = [entry["file"] for entry in entries]
        if not {*_REPEATED, "anchors", "defaults"} <= set(manifest):
            raise KeyError(path)
    except OSError as error:
        raise Refused(
            f"The folder of the parts has a {MANIFEST}; cannot read {path}: "
            f"{error.strerror}. Name the folder with --parts."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise Refused(
            f"{path} is not what --export_parts wrote. Copy the folder again."
        ) from None
    if kind != (SCHEMA, MANIFEST_KIND):
        raise Refused(
            f"This program reads manifests of schema {SCHEMA}, kind "
            f"{MANIFEST_KIND}; {path} has {kind}. Use the {_program()} that is "
            "in the folder."
        )
    if not set(names) <= set(known):
        raise Refused(
            f"The export into {folder} was not finished. Run it again with "
            "the same options, and copy the folder again."
        )
    for name in names:
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            raise Refused(
                f"Cannot read {folder / name}: {error.strerror}. Copy the "
                "whole folder."
            ) from None
        if hashlib.sha256(content).hexdigest() != known[name]["sha256"]:
            raise Refused(
                f"{folder / name} is not the file that was exported. Copy the "
                "folder again."
            )
    return manifest


def _program() -> str:
    return pathlib.Path(__file__).name


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class _Measured:
    """What is measured so far; the file holds it at any time.

    A file that is there is continued. The header is everything in it but the
    times and what is known of delegates.
    """

    def __init__(self, path: pathlib.Path, header: dict[str, Any]) -> None:
        self._path = path
        empty: dict[str, Any] = {"undelegated": [], "passes": [], "series": []}
        self.data: dict[str, Any] = {**header, **empty}
        if not path.exists():
            return
        try:
            found = json.loads(path.read_bytes().decode("utf-8"))
            complete = all(isinstance(found[name], list) for name in empty)
            if not complete or set(found) != set(self.data):
                raise KeyError(path)
        except (ValueError, KeyError, TypeError):
            raise Refused(
                f"{path} is not what this program left there. Delete it, or "
                "choose another --output."
            ) from None
        different = [
            f"{name} {found[name]} (now {header[name]})"
            for name in header
            if found[name] != header[name]
        ]
        if different:
            raise Refused(
                f"{path} was measured with other settings: "
                f"{'; '.join(different)}. Use the same, or another --output."
            )
        self.data = found

    def lacks(self, step: Step) -> bool:
        """Whether something of a step is still to be measured."""
        section = self.data[step.section]
        return len(section) <= step.number or not all(
            key in section[step.number] for key in step.keys
        )

    def add(
        self, step: Step, times: dict[str, list[float]], undelegated: list[str]
    ) -> None:
        """Keeps the times of a step; the file is whole at any time."""
        section = self.data[step.section]
        while len(section) <= step.number:
            section.append({})
        for key, values in times.items():
            section[step.number].setdefault(key, []).extend(values)
        known = self.data["undelegated"]
        known += [key for key in undelegated if key not in known]
        temporary = self._path.with_name(f".unfinished-{self._path.name}")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(self.data, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)


class _Opener:
    """Opens files of the folder by key, and notes what no delegate took."""

    def __init__(
        self,
        folder: pathlib.Path,
        manifest: dict[str, Any],
        threads: int,
        delegate: str | None,
        delegate_options: dict[str, str],
    ) -> None:
        self._folder = folder
        entries = [*manifest["parts"], *manifest["networks"]]
        self._entries = {entry["key"]: entry for entry in entries}
        self._runtime = manifest["runtime"]
        self._threads = threads
        self._delegate = delegate
        self._delegate_options = delegate_options
        self.undelegated: list[str] = []

    def macs(self, key: str) -> int:
        """Multiply-adds: how long it takes, roughly."""
        return int(self._entries[key]["macs"])

    def __call__(self, key: str) -> Session:
        entry = self._entries[key]
        path = str(self._folder / entry["file"])
        values = input_values(entry["input_shape"])
        try:
            if self._runtime == "onnxruntime":
                return open_onnx(
                    path, values, entry["output_shape"], self._threads
                )
            delegates = [] if self._delegate is None else [self._load()]
            run, names = open_tflite(path, values, self._threads, delegates)
        except Refused:
            raise
        # Each runtime has exception classes of its own, some of them private.
        except Exception as error:
            raise Refused(
                f"The runtime cannot load {path}: {_one_line(error)}. A newer "
                "version of it may."
            ) from None
        own = [name for name in names if "elegate" in name]
        if delegates and not [x for x in own if "xnnpack" not in x.lower()]:
            self.undelegated.append(key)
        return run

    def _load(self) -> Any:
        module = load_runtime("tflite").module
        load = getattr(module, "load_delegate", None)
        if load is None:
            load = module.experimental.load_delegate
        try:
            # It says why it cannot; a half-made delegate ends in a traceback.
            ctypes.CDLL(self._delegate)
            return load(self._delegate, self._delegate_options)
        except (ValueError, OSError, RuntimeError) as error:
            raise Refused(
                f"The delegate {self._delegate} cannot be loaded with the "
                f"options {self._delegate_options}: {_one_line(error)}"
            ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_program(),
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument(
        "--parts",
        type=pathlib.Path,
        default=here,
        help=f"folder with {MANIFEST} (default: that of this file)",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("measurements.json"),
        help="file of the measurements (default: %(default)s)",
    )
    parser.add_argument(
        "--delegate", help="library of a TFLite delegate, such as libX.so"
    )
    parser.add_argument(
        "--delegate_option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the delegate; may be repeated",
    )
    numbers = {
        "threads": "CPU threads",
        "warmup": "calls of every part before the timed ones",
        "repeats": "calls of every part in each pass",
        "passes": "how many times all parts are measured",
        "check_rounds": "calls of every whole network in each of two series",
    }
    for name, text in numbers.items():
        parser.add_argument(
            f"--{name}", type=int, help=f"{text} (default: the export's)"
        )
    return parser


def _settings(
    given: argparse.Namespace, manifest: dict[str, Any]
) -> tuple[int, dict[str, int], dict[str, str]]:
    """Threads, rounds, and the options of the delegate."""
    numbers = {}
    for name in ("threads", *ROUNDS):
        typed = getattr(given, name)
        numbers[name] = manifest["defaults"][name] if typed is None else typed
        least = 0 if name == "warmup" else 1
        if numbers[name] < least:
            raise Refused(f"--{name} is at least {least}; got {numbers[name]}.")
    options = {}
    for text in given.delegate_option:
        name, separator, value = text.partition("=")
        if not name or not separator:
            raise Refused(
                f"--delegate_option is NAME=VALUE; got {text!r}. Correct it."
            )
        options[name] = value
    if options and given.delegate is None:
        raise Refused("--delegate_option belongs to --delegate. Give both.")
    if given.delegate is not None and manifest["runtime"] != "tflite":
        raise Refused(
            f"--delegate belongs to TFLite files; these are for "
            f"{manifest['runtime']}. Export them with --runtime=tflite."
        )
    return numbers.pop("threads"), numbers, options


def measure(given: argparse.Namespace, say: Callable[[str], Any]) -> None:
    """Measures what is missing.

    Args:
        given: The command line.
        say: Takes lines for people.

    Raises:
        Refused: It cannot be measured.
    """
    manifest = read_manifest(given.parts)
    threads, rounds, options = _settings(given, manifest)
    machine = describe_machine(load_runtime(manifest["runtime"]).package)
    if given.delegate is not None:
        texts = [f"{name}={value}" for name, value in options.items()]
        machine["delegate"] = " ".join([given.delegate, *texts])
    measured = _Measured(
        given.output,
        {
            "schema": SCHEMA,
            "kind": KIND,
            **{name: manifest[name] for name in _REPEATED},
            "threads": threads,
            "machine": machine,
            "rounds": rounds,
        },
    )
    opener = _Opener(given.parts, manifest, threads, given.delegate, options)
    steps = [*_steps(manifest, rounds)]
    left = [step for step in steps if measured.lacks(step)]
    say(
        f"{len(manifest['parts'])} parts and {len(manifest['networks'])} "
        f"networks by {machine['processor']}, {threads} thread"
        f"{'s' * (threads > 1)}: {len(left)} of {len(steps)} groups to measure"
    )
    clock = _Clock(
        [
            (step.rounds + rounds["warmup"])
            * sum(opener.macs(key) for key in [*step.keys, *step.beside])
            for step in left
        ]
    )
    beside: dict[str, Session] = {}
    for step in left:
        if set(beside) != set(step.beside):
            beside = {key: opener(key) for key in step.beside}
        sessions = {**{key: opener(key) for key in step.keys}, **beside}
        times = interleaved(
            [*sessions.values()],
            step.rounds,
            warmup=rounds["warmup"],
            seed=step.number,
        )
        measured.add(step, by_key(sessions, times), opener.undelegated)
        say(f"{step.section} {step.number + 1}: {clock.after_step()}")
    undelegated = measured.data["undelegated"]
    if undelegated:
        say(
            f"WARNING: the delegate ran nothing of {len(undelegated)} files; "
            f"the CPU ran them: {', '.join(undelegated[:5])}"
        )
    space = manifest["search_space"], manifest["space_arguments"]
    say(
        f"All is measured: {given.output}. Make the table where spos_tf is: "
        f"spos build_latency_table --import_measurements={given.output} "
        f"--output=TABLE.yaml, with the flags of space {space[0]} {space[1]}."
    )


class _Clock:
    """Says how long it still takes, by every step's work in any unit."""

    def __init__(self, work: list[int]) -> None:
        self._work = work
        self._done = 0
        self._start = time.monotonic()

    def after_step(self) -> str:
        """Notes that a step ended; how far that is, for people."""
        self._done += 1
        seconds = time.monotonic() - self._start
        done, left = sum(self._work[: self._done]), self._work[self._done :]
        minutes = seconds / max(done, 1) * sum(left) / 60
        return (
            f"group {self._done} of {len(self._work)}, {seconds / 60:.1f} min, "
            f"about {minutes:.1f} min left"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; its exit code."""
    given = _parser().parse_args(arguments)
    try:
        measure(given, lambda line: print(line, flush=True))
    except Refused as error:
        print(f"{_program()}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{_program()}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"{_program()}: Stopped. Start it again to resume.", file=sys.stderr
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
