"""What every command prints, and how it ends; with small ones made here."""

import os
import subprocess
import sys
import textwrap

import pytest

from source_tree import REPO
from spos_tf.cli.program import COMMANDS, find_command

TOOL = """
import dataclasses
import sys
from absl import logging
from spos_tf.cli import program
from spos_tf.errors import UserError
from spos_tf.options import Options, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counting(Options):
    count: int = option(1, "A number.", least=0)
    file: tuple = option((), "Repeatable; a file.", repeated=True)


def main(given):
    options = given(Counting)
{body}


if __name__ == "__main__":
    command = program.Command("Counts.", (Counting,), main)
    program.run_command(command, "tool", sys.argv[1:])
"""

# Writes what TensorFlow's C++ code would, and has what the import asks for.
TENSORFLOW = """
import os
os.write(2, b"I0000 noise of the import\\n")
class config:
    @staticmethod
    def list_physical_devices(kind):
        os.write(2, b"E0000 noise of the device list\\n")
        return []
{more}
"""


@pytest.fixture
def run(tmp_path):
    """Runs a tool whose `main` is a piece of text."""

    def run(body, *arguments, tensorflow=None, **environment):
        body = textwrap.indent(textwrap.dedent(body).strip(), "    ")
        (tmp_path / "tool.py").write_text(TOOL.format(body=body))
        if tensorflow is not None:
            text = TENSORFLOW.format(more=tensorflow)
            (tmp_path / "tensorflow.py").write_text(text)
        path = os.pathsep.join(map(str, (tmp_path, REPO)))
        return subprocess.run(
            [sys.executable, tmp_path / "tool.py", *arguments],
            env={**os.environ, "PYTHONPATH": path, **environment},
            capture_output=True,
            text=True,
        )

    return run


def test_a_run_that_ends_well(run):
    result = run("print(options.count)", "--count=3")
    assert (result.returncode, result.stdout, result.stderr) == (0, "3\n", "")


def test_a_note_names_flags(run):
    said = "tell('`count=3` is over; `size` is not.')"
    result = run(f"from spos_tf.jobs.notes import tell; {said}")
    assert result.returncode == 0
    assert result.stderr.endswith(" --count=3 is over; `size` is not.\n")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            "raise UserError('The rule; got this.\\nDo that.')",
            "tool.py: The rule; got this. Do that.\n",
        ),
        (
            "raise UserError('`count` is even; got `count=3`, not `size`.')",
            "tool.py: --count is even; got --count=3, not `size`.\n",
        ),
        (
            "open('/no/such/file')",
            "tool.py: [Errno 2] No such file or directory: '/no/such/file'\n",
        ),
    ],
)
def test_a_mistake_is_one_line(run, body, line):
    result = run(body)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == line


@pytest.mark.parametrize(
    ("argument", "part"),
    [("--counts=1", "counts"), ("--count=-1", "count"), ("word", "word")],
)
def test_a_wrong_flag_is_one_line(run, argument, part):
    result = run("pass", argument)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("tool.py: ")
    assert result.stderr.count("\n") == 1
    assert part in result.stderr


@pytest.mark.parametrize("bug", ["ValueError('a bug')", "OSError('a bug')"])
def test_a_bug_keeps_its_traceback(run, bug):
    result = run(f"raise {bug}")
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_only_warnings_of_others_are_logged(run):
    result = run("logging.info('a note'); logging.warning('take care')")
    assert result.returncode == 0
    (line,) = result.stderr.splitlines()
    assert line.endswith(" WARNING: take care")


def test_our_notes_are_logged_with_the_time(run):
    # As if a file of the package had said it.
    body = """
    source = "logging.info('a note of %s', 'ours')"
    exec(compile(source, program.__file__, "exec"))
    """
    result = run(body)
    (line,) = result.stderr.splitlines()
    assert line[2] == line[5] == ":"
    assert line[8:] == " a note of ours"


QUIET = "import tensorflow; print(tensorflow.answer)"


def test_tensorflow_is_imported_quietly(run):
    result = run(QUIET, tensorflow="answer = 42")
    assert (result.returncode, result.stdout, result.stderr) == (0, "42\n", "")


def test_a_failing_import_shows_what_was_said(run):
    result = run(QUIET, tensorflow="raise ImportError('no libcuda')")
    assert result.returncode == 1
    assert "noise of the import" in result.stderr
    assert "no libcuda" in result.stderr


# As Keras does it, of which commands have no use for the first.
KERAS = """
try:
    import matplotlib.pyplot
except ImportError:
    matplotlib = None
import wave
"""


def test_keras_is_imported_without_its_galleries(run, tmp_path):
    (tmp_path / "keras.py").write_text(KERAS)
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib/__init__.py").write_text("")
    (tmp_path / "matplotlib/pyplot.py").write_text("answer = 42")
    body = """
    import keras, wave
    print(keras.matplotlib, keras.wave is wave)
    import matplotlib.pyplot
    print(matplotlib.pyplot.answer)
    """
    result = run(body)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "None True\n42\n"


def test_keras_has_what_was_imported_before_it(run, tmp_path):
    (tmp_path / "keras.py").write_text("import sklearn")
    (tmp_path / "sklearn.py").write_text("answer = 42")
    result = run("import sklearn, keras; print(keras.sklearn is sklearn)")
    assert (result.returncode, result.stdout) == (0, "True\n")


@pytest.mark.parametrize(("devices", "shown"), [("0", True), ("-1", False)])
def test_missing_gpus_are_explained(run, tmp_path, devices, shown):
    driver = tmp_path / "driver"
    driver.write_text("")
    body = f"""
    import pathlib
    program._NVIDIA_DRIVER = pathlib.Path({str(driver)!r})
    {QUIET}
    """
    result = run(body, tensorflow="answer = 42", CUDA_VISIBLE_DEVICES=devices)
    assert result.returncode == 0
    assert ("noise of the device list" in result.stderr) == shown


def test_code_that_a_flagfile_names_is_announced(run, tmp_path):
    (tmp_path / "a.flags").write_text("--file=energy.py:energy\n")
    result = run("pass", f"--flagfile={tmp_path / 'a.flags'}")
    assert result.returncode == 0
    (line,) = result.stderr.splitlines()
    assert "The code of 'energy.py:energy' is run" in line
    assert run("pass", "--file=energy.py:energy").stderr == ""


def test_a_mistake_names_the_flagfile(run, tmp_path):
    (tmp_path / "a.flags").write_text("--count=-1\n")
    flagfile = f"--flagfile={tmp_path / 'a.flags'}"
    result = run("pass", flagfile)
    assert result.returncode == 2
    assert result.stderr == (
        f"tool.py: --count is at least 0; got -1. (With {flagfile}.)\n"
    )


def spos(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "spos_tf", *arguments],
        cwd=REPO,
        capture_output=True,
        text=True,
    )


def test_a_command_shows_its_flags_alone():
    result = spos("describe", "--help")
    assert result.returncode == 1
    assert result.stdout.startswith("Prints what a search space")
    assert "--encoding" in result.stdout
    assert "--preset" in result.stdout
    assert "--steps" not in result.stdout


def test_spos_lists_its_commands():
    result = spos("--help")
    assert (result.returncode, result.stderr) == (0, "")
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout
        assert find_command(name).text.strip().splitlines()[0] in result.stdout
    assert spos().stdout == result.stdout


def test_an_unknown_command_is_one_line():
    result = spos("trian_supernet")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(
        "spos: There is no command 'trian_supernet'. Did you mean "
        "train_supernet? The commands are: "
    )
    assert result.stderr.count("\n") == 1


def test_a_shim_is_its_command():
    for name in COMMANDS:
        text = (REPO / "tools" / f"{name}.py").read_text("utf-8")
        assert f'    run("{name}")\n' in text
        assert len(text.splitlines()) < 8


HELP = """
import sys
from absl import flags
from spos_tf.cli import flags as our_flags
from spos_tf.cli.program import COMMANDS, find_command
for name in COMMANDS:
    our_flags.define(find_command(name).kinds, flags.FlagValues())
    print(name, *{"tensorflow", "keras", "matplotlib"} & {*sys.modules})
"""


def test_no_help_waits_for_tensorflow():
    result = subprocess.run(
        [sys.executable, "-c", HELP], cwd=REPO, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [*COMMANDS]
