"""How every command starts, what it prints, and how it ends on a mistake."""

import abc
import contextlib
import dataclasses
import difflib
import gc
import importlib
import importlib.abc
import importlib.machinery
import logging as python_logging
import os
import pathlib
import signal
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from absl import app, flags, logging

import spos_tf
from spos_tf import errors
from spos_tf.cli import flags as our_flags
from spos_tf.errors import Preempted, UserError
from spos_tf.keras_settings import check_keras
from spos_tf.options import Options, ThreadOptions
from spos_tf.silence import held_back
from spos_tf.stop_signal import stop

Kind = TypeVar("Kind", bound=Options)

_OUR_FOLDER = f"{pathlib.Path(errors.__file__).resolve().parent}{os.sep}"
# Characters of a refusal.
_MOST_SAID = 2000
_NVIDIA_DRIVER = pathlib.Path("/proc/driver/nvidia/version")

# What the shell gives a program that SIGTERM ended.
_TERMINATED = 128 + signal.SIGTERM

# Commands in the order in which they are used, by the name of their module.
COMMANDS = (
    "describe",
    "check_data",
    "train_supernet",
    "search",
    "search_limits",
    "train_subnet",
    "evaluate",
    "export",
    "correlate",
    "convert_nasbench201",
    "build_latency_table",
    "report",
    "clear_cache",
    "demo",
)


class Given:
    """What the command line says, as options.

    Args:
        values: Parsed flags.
    """

    def __init__(self, values: flags.FlagValues) -> None:
        self._values = values

    def __call__(self, kind: type[Kind], **changes: Any) -> Kind:
        """The options of one class.

        Raises:
            UserError: A value is out of its range, or two contradict.
        """
        return our_flags.parsed(kind, self._values, **changes)

    def values(self, kind: type[Options]) -> dict[str, Any]:
        """The options of one class as keyword arguments."""
        options = self(kind)
        return {
            one.name: getattr(options, one.name) for one in kind.described()
        }

    def is_typed(self, name: str) -> bool:
        """Whether a flag was given, on the command line or in a file."""
        return bool(self._values[name].present)

    def use_threads(self) -> None:
        """Applies --threads; before TensorFlow has run anything."""
        threads = self(ThreadOptions).threads
        if threads is not None:
            set_threads(threads)


def set_threads(threads: int) -> None:
    """Sets TensorFlow's CPU threads; before it has run anything."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


@dataclasses.dataclass(frozen=True)
class Command:
    """One command: its help, its options, and what it does.

    Attributes:
        text: Help; its first line stands in the list of commands.
        kinds: Classes of options that become its flags.
        main: Does it, and says which command comes next.
        required: Names of options that have to be given.
    """

    text: str
    kinds: tuple[type[Options], ...]
    main: Callable[[Given], str | None]
    required: tuple[str, ...] = ()


def find_command(name: str) -> Command:
    """The command of a module of this package, which has one `COMMAND`."""
    module = importlib.import_module(f"spos_tf.cli.{name}")
    command: Command = module.COMMAND
    return command


def given_by(command: Command, typed: Sequence[str]) -> Given:
    """What a command line of the command says; the process's is left alone.

    Args:
        command: What takes the flags.
        typed: The flags.

    Raises:
        flags.Error: There is no such flag, or it has no such value.
        UserError: A value is out of its range, or a flag is missing.
    """
    values = flags.FlagValues()
    # absl defines it in its own values alone.
    flags.DEFINE_multi_string("flagfile", [], "", flag_values=values)
    our_flags.define(command.kinds, values)
    in_files, rest = our_flags.arguments(typed, values)
    _check_all(command, values, values(["program", *in_files, *rest]))
    return Given(values)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `spos COMMAND --flag=value ...`.

    Args:
        arguments: The command line without the program; that of the process
            if None.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = given[0] if given else "--help"
    if name in ("-h", "--help", "--helpfull", "help"):
        print(_overview())
        return
    if name in ("--version", "version"):
        print(f"spos_tf {spos_tf.__version__}")
        return
    if name not in COMMANDS:
        print(
            f"spos: There is no command {name!r}.{_meant(name)} The commands "
            f"are: {', '.join(COMMANDS)}. `spos COMMAND --help` explains one.",
            file=sys.stderr,
        )
        sys.exit(2)
    run(name, given[1:])


def _meant(name: str) -> str:
    close = difflib.get_close_matches(name, COMMANDS, 1)
    return f" Did you mean {close[0]}?" if close else ""


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [
        f"  {name:{width}}  {find_command(name).text.strip().splitlines()[0]}"
        for name in COMMANDS
    ]
    return "\n".join(
        [
            "Usage: spos COMMAND --flag=value ...",
            "",
            *lines,
            "",
            "`spos COMMAND --help` explains a command and its flags.",
        ]
    )


def run(name: str, arguments: Sequence[str] | None = None) -> None:
    """Parses the flags of a command and runs it.

    A `UserError`, and what the system refuses (permissions, full disk), is
    one line on stderr and exit code 2. SIGTERM is one line and exit code 143;
    training saves what it has done before. Anything else is a bug and keeps its
    traceback. TensorFlow's and TFDS's notes are left out; ours are logged.

    Args:
        name: Of the command.
        arguments: Its flags; those of the process if None.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    run_command(find_command(name), name, typed)


def run_command(command: Command, name: str, typed: Sequence[str]) -> None:
    """See `run`; for a command that is at hand."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        _run(command, name, typed)
    except Preempted as reason:
        _end_preempted(name, reason.saved)
    except Exception:
        # What a library made of it on the way.
        if not stop.has_raised:
            raise
        _end_preempted(name, "")


def _on_sigterm(number: int, frame: types.FrameType | None) -> None:
    # Whatever cleans up on the way out is to be left alone.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stop.handle(number, frame)


def aligned(rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """Rows of a table as lines.

    Args:
        rows: Cells.
        words: Columns of words, which come first; the others are numbers.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index < words else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _called(name: str) -> str:
    """What the command was called as: messages begin with it."""
    program = os.path.basename(sys.argv[0])
    return program if program == f"{name}.py" else f"spos {name}"


def _end_preempted(name: str, saved: str) -> None:
    after = f" after {saved}, which is saved" if saved else ""
    print(
        f"{_called(name)}: Stopped by SIGTERM{after}. Start it again to "
        "resume.",
        file=sys.stderr,
    )
    sys.exit(_TERMINATED)


def _run(command: Command, name: str, typed: Sequence[str]) -> None:
    # Read by TensorFlow's C++ code while it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.meta_path[:0] = [_QuietTensorFlow(), _KerasAlone()]
    # Tracing a network makes millions of objects and hardly a cycle: looking
    # for cycles as often as Python does took 1 s of 8 before the first step.
    gc.set_threshold(200_000, 20, 20)
    # Pillow warns of metadata that nobody needs, a line for a picture.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    own = [one.name for one in our_flags.described(command.kinds)]
    our_flags.define(command.kinds, flags.FLAGS)
    sys.modules["__main__"].__doc__ = command.text

    def refuse(message: str) -> None:
        files = [text for text in typed if "-flagfile" in text]
        # Whatever is wrong with a flag may be so there.
        where = f" (With {' '.join(files)}.)" if files else ""
        _refuse(name, f"{our_flags.as_flags(message, own)}{where}")

    def parse(argv: Sequence[str]) -> list[str]:
        for flag in own:
            # --help shows them as the program's.
            flags.FLAGS.register_key_flag_for_module(argv[0], flags.FLAGS[flag])
        try:
            in_files, rest = our_flags.arguments(argv[1:], flags.FLAGS)
            left = flags.FLAGS([argv[0], *in_files, *rest])
            _check_all(command, flags.FLAGS, left)
        except UserError as error:
            refuse(str(error))
        # A flagfile that is no text is a ValueError.
        except (flags.Error, OSError, ValueError, RecursionError) as error:
            refuse(f"{error} Try --help.")
        return left

    def guarded(argv: Sequence[str]) -> None:
        del argv
        _set_up_logging(own)
        _warn_of_code(own, typed)
        try:
            check_keras()
            following = command.main(Given(flags.FLAGS))
            if following:
                python_logging.getLogger("spos_tf").info("Next: %s", following)
        except UserError as error:
            if stop.has_raised:
                raise
            refuse(str(error))
        except OSError as error:
            # No errno: not the system's word, so a bug.
            if error.errno is None or stop.has_raised:
                raise
            refuse(str(error))
        except KeyboardInterrupt as interrupt:
            said = str(interrupt) or "Stopped."
            print(
                f"{_called(name)}: {said} Start it again to resume.",
                file=sys.stderr,
            )
            # The shell's code for a program that Ctrl-C ended.
            sys.exit(130)

    app.run(guarded, [sys.argv[0], *typed], flags_parser=parse)


def _check_all(
    command: Command, values: flags.FlagValues, left: Sequence[str]
) -> None:
    """Refuses what no option is, and every wrong value, before any work."""
    if len(left) > 1:
        raise UserError(
            f"A command takes flags only; got {left[1:]}. Write --flag=value, "
            "and try --help."
        )
    for one in our_flags.described(command.kinds):
        flag = values[one.name]
        # It would count as unset here and there.
        if flag.value == "" != flag.default:
            raise UserError(f"`{one.name}` is empty. Leave it out to unset it.")
        if one.name in command.required and flag.value in (None, []):
            raise UserError(f"`{one.name}` is required. Try --help.")
    for kind in command.kinds:
        our_flags.parsed(kind, values)


def _warn_of_code(own: Sequence[str], typed: Sequence[str]) -> None:
    """Warns of Python files that a flagfile names and nobody typed.

    A flagfile is as trusted as a command, and may come from somebody else.
    """
    for name in own:
        value = flags.FLAGS[name].value
        for text in value if isinstance(value, list) else [value]:
            # `file.py`, `file.py:name`, or within a limit.
            is_code = isinstance(text, str) and (
                text.endswith(".py") or ".py:" in text
            )
            if is_code and not any(text in one for one in typed):
                logging.warning(
                    "The code of %r is run: --%s of a flagfile names it.",
                    text,
                    name,
                )


def _refuse(name: str, message: str) -> None:
    line = " ".join(message.split())
    # What a file says may be of any length, or drive the terminal.
    if len(line) > _MOST_SAID:
        line = f"{line[: _MOST_SAID - 300]} ... {line[-200:]}"
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
    print(f"{_called(name)}: {line}", file=sys.stderr)
    sys.exit(2)


def _set_up_logging(own: Sequence[str]) -> None:
    handler = logging.get_absl_handler()
    handler.setFormatter(_ShortFormatter(own))
    handler.addFilter(_is_ours_or_a_warning)


def _is_ours_or_a_warning(record: python_logging.LogRecord) -> bool:
    # TFDS logs through absl too, and says where each data set lies.
    is_ours = record.pathname.startswith(_OUR_FOLDER)
    return is_ours or record.levelno >= python_logging.WARNING


class _ShortFormatter(python_logging.Formatter):
    """The time and the message; a warning says that it is one."""

    def __init__(self, own: Sequence[str]) -> None:
        super().__init__("%(asctime)s %(message)s", "%H:%M:%S")
        self._own = own

    def formatMessage(self, record: python_logging.LogRecord) -> str:
        record.message = our_flags.as_flags(record.message, self._own)
        if record.levelno >= python_logging.WARNING:
            record.message = f"{record.levelname}: {record.message}"
        return super().formatMessage(record)


class _FirstImport(importlib.abc.MetaPathFinder):
    """Does something around the first import of a module, by whomever."""

    name: str

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_within(module: types.ModuleType) -> None:
            with self.around(module):
                execute(module)

        # Loaders are objects of one module each.
        spec.loader.exec_module = execute_within  # type: ignore[method-assign]
        return spec

    @abc.abstractmethod
    def around(
        self, module: types.ModuleType
    ) -> contextlib.AbstractContextManager[None]:
        """Its block executes the module."""


class _QuietTensorFlow(_FirstImport):
    """Makes the first import of TensorFlow a quiet one.

    Its C++ code writes to file descriptor 2 while it is imported and while it
    looks for GPUs, whatever the log level.
    """

    name = "tensorflow"

    @contextlib.contextmanager
    def around(self, module: types.ModuleType) -> Iterator[None]:
        with held_back(2) as show:
            yield
            gpus = module.config.list_physical_devices("GPU")
            if not gpus and _expects_gpus():
                show()


class _KerasAlone(_FirstImport):
    """Imports Keras without what it loads for galleries and wrappers.

    Where scikit-learn, matplotlib's pyplot and IPython are installed, it loads
    them, half as long as TensorFlow itself, and no command has a use for that.
    Whoever imports one of them later has it.
    """

    name = "keras"
    _left_out = ("IPython", "matplotlib", "sklearn")

    @contextlib.contextmanager
    def around(self, module: types.ModuleType) -> Iterator[None]:
        absent = [one for one in self._left_out if one not in sys.modules]
        # What Python documents for a module that is not to be found.
        sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
        try:
            yield
        finally:
            for one in absent:
                del sys.modules[one]


def _expects_gpus() -> bool:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    return _NVIDIA_DRIVER.exists() and visible not in ("", "-1")
