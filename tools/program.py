"""How every tool starts, what it prints, and how it ends on a mistake."""

import contextlib
import gc
import importlib.abc
import importlib.machinery
import logging as python_logging
import os
import pathlib
import signal
import sys
import tempfile
import types
from collections.abc import Callable, Iterator, Sequence

from absl import app, flags, logging

from code_notice import warn_of_code
from spos_tf import errors
from spos_tf.errors import Preempted, UserError
from spos_tf.training.preemption import StopSignal

_OUR_FOLDERS = tuple(
    f"{pathlib.Path(file).resolve().parent}{os.sep}"
    for file in (__file__, errors.__file__)
)
# Characters of a refusal.
_MOST_SAID = 2000
_NVIDIA_DRIVER = pathlib.Path("/proc/driver/nvidia/version")

# What the shell gives a program that SIGTERM ended.
_TERMINATED = 128 + signal.SIGTERM

# Whether SIGTERM came to this program.
stop = StopSignal()

# Tools, and what they share, by the names that absl knows modules by.
_TOOLS = {path.stem for path in pathlib.Path(__file__).parent.glob("*.py")}


def own_flags() -> list[flags.Flag]:
    """Flags that tools define, sorted; libraries define flags of their own."""
    modules = flags.FLAGS.flags_by_module_dict()
    return sorted(
        (
            flag
            for module in modules
            if pathlib.Path(module).stem in _TOOLS
            for flag in modules[module]
        ),
        key=lambda flag: flag.name,
    )


def run(main: Callable[[], None]) -> None:
    """Parses flags and runs `main`.

    A `UserError`, and what the system refuses (permissions, full disk), is
    one line on stderr and exit code 2. SIGTERM is one line and exit code 143;
    training saves what it has done before. Anything else is a bug and keeps its
    traceback. TensorFlow's and TFDS's notes are left out; ours are logged.
    """
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        _run(main)
    except Preempted as reason:
        _end_preempted(reason.saved)
    except Exception:
        # What a library made of it on the way.
        if not stop.has_raised:
            raise
        _end_preempted("")


def _on_sigterm(number: int, frame: types.FrameType | None) -> None:
    # Whatever cleans up on the way out is to be left alone.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stop.handle(number, frame)


def _end_preempted(saved: str) -> None:
    name = os.path.basename(sys.argv[0])
    after = f" after {saved}, which is saved" if saved else ""
    print(
        f"{name}: stopped by SIGTERM{after}. Start it again to go on.",
        file=sys.stderr,
    )
    sys.exit(_TERMINATED)


def _run(main: Callable[[], None]) -> None:
    # Read by TensorFlow's C++ code while it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.meta_path.insert(0, _QuietTensorFlow())
    # Tracing a network makes millions of objects and hardly a cycle: looking
    # for cycles as often as Python does took 1 s of 8 before the first step.
    gc.set_threshold(200_000, 20, 20)

    def guarded(argv: Sequence[str]) -> None:
        del argv
        _set_up_logging()
        warn_of_code(own_flags(), sys.argv)
        try:
            main()
        except UserError as error:
            if stop.has_raised:
                raise
            _refuse(str(error))
        except OSError as error:
            # No errno: not the system's word, so a bug.
            if error.errno is None or stop.has_raised:
                raise
            _refuse(str(error))
        except KeyboardInterrupt:
            print("Stopped. Start it again to go on.", file=sys.stderr)
            # The shell's code for a program that Ctrl-C ended.
            sys.exit(130)

    app.run(guarded, flags_parser=_parse)


def _refuse(message: str) -> None:
    name = os.path.basename(sys.argv[0])
    files = [text for text in sys.argv if "-flagfile" in text]
    # Whatever is wrong with a flag may be so there.
    where = f" (With {' '.join(files)}.)" if files else ""
    line = " ".join(f"{message}{where}".split())
    # What a file says may be of any length, or drive the terminal.
    if len(line) > _MOST_SAID:
        line = f"{line[: _MOST_SAID - 300]} ... {line[-200:]}"
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
    print(f"{name}: {line}", file=sys.stderr)
    sys.exit(2)


def _parse(argv: Sequence[str]) -> list[str]:
    for flag in own_flags():
        # --help shows the flags of the program, the shared ones too.
        flags.FLAGS.register_key_flag_for_module(argv[0], flag)
    try:
        rest = flags.FLAGS(argv)
    # A flagfile that is no text is a ValueError.
    except (flags.Error, OSError, ValueError, RecursionError) as error:
        _refuse(f"{error} Try --help.")
    if len(rest) > 1:
        _refuse(
            f"Tools take flags only; got {rest[1:]}. Write "
            "--flag=value, and try --help."
        )
    for flag in own_flags():
        # It would count as unset here and there.
        if flag.value == "" != flag.default:
            _refuse(f"--{flag.name} is empty. Leave it out to unset it.")
    return rest


def _set_up_logging() -> None:
    handler = logging.get_absl_handler()
    handler.setFormatter(_ShortFormatter("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.addFilter(_is_ours_or_a_warning)


def _is_ours_or_a_warning(record: python_logging.LogRecord) -> bool:
    # TFDS logs through absl too, and says where each data set lies.
    is_ours = record.pathname.startswith(_OUR_FOLDERS)
    return is_ours or record.levelno >= python_logging.WARNING


class _ShortFormatter(python_logging.Formatter):
    """The time and the message; a warning says that it is one."""

    def formatMessage(self, record: python_logging.LogRecord) -> str:
        if record.levelno >= python_logging.WARNING:
            record.message = f"{record.levelname}: {record.message}"
        return super().formatMessage(record)


class _QuietTensorFlow(importlib.abc.MetaPathFinder):
    """Makes the first import of TensorFlow, by whomever, a quiet one.

    Its C++ code writes to file descriptor 2 while it is imported and while it
    looks for GPUs, whatever the log level.
    """

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_quietly(module: types.ModuleType) -> None:
            with _stderr_held_back() as show:
                execute(module)
                gpus = module.config.list_physical_devices("GPU")
                if not gpus and _expects_gpus():
                    show()

        # Loaders are objects of one module each.
        spec.loader.exec_module = execute_quietly  # type: ignore[method-assign]
        return spec


def _expects_gpus() -> bool:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    return _NVIDIA_DRIVER.exists() and visible not in ("", "-1")


@contextlib.contextmanager
def _stderr_held_back() -> Iterator[Callable[[], None]]:
    """Holds back file descriptor 2, and shows it if the block raises.

    Yields:
        A function that shows what was held back so far.
    """
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)

        def show() -> None:
            sys.stderr.flush()
            held.seek(0)
            os.write(real, held.read())
            held.truncate(0)

        try:
            yield show
        except Preempted:
            raise
        except BaseException:
            show()
            raise
        finally:
            sys.stderr.flush()
            os.dup2(real, 2)
            os.close(real)
