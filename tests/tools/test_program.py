"""What every tool prints, and how it ends; with small tools made here."""

import os
import subprocess
import sys
import textwrap

import pytest

from source_tree import REPO

TOOL = """
import logging as python_logging
from absl import flags, logging
import program
from spos_tf.errors import UserError

flags.DEFINE_integer("count", 1, "A number.", lower_bound=0)

def main():
{body}

if __name__ == "__main__":
    program.run(main)
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
        path = os.pathsep.join(map(str, (tmp_path, REPO / "tools", REPO)))
        return subprocess.run(
            [sys.executable, tmp_path / "tool.py", *arguments],
            env={**os.environ, "PYTHONPATH": path, **environment},
            capture_output=True,
            text=True,
        )

    return run


def test_a_run_that_ends_well(run):
    result = run("print(flags.FLAGS.count)", "--count=3")
    assert (result.returncode, result.stdout, result.stderr) == (0, "3\n", "")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            "raise UserError('The rule; got this.\\nDo that.')",
            "tool.py: The rule; got this. Do that.\n",
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
    # As if a file of tools/ had said it.
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


def test_help_has_the_shared_flags():
    result = subprocess.run(
        [sys.executable, "tools/describe.py", "--help"],
        cwd=REPO,
        capture_output=True,
        text=True,
    )
    assert "--encoding" in result.stdout
    assert "--preset" in result.stdout
