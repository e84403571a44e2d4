"""Builds the package and tries it as installed, on Python after Python.

`make test-install` runs this. The source distribution is built from a copy of
the repository, the wheel from the source distribution, and the wheel is
installed at the versions of constraints.txt into a fresh environment of every
Python that is named and found. tests/installed_package.py does the checks.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

_REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
_CONSTRAINTS = _REPOSITORY / "constraints.txt"
_CHECK = _REPOSITORY / "tests" / "installed_package.py"
_BUILD_SDIST = "from setuptools import build_meta as b; b.build_sdist('dist')"
# What a wheel is made of, and what setup.cfg reads.
_SOURCES = (
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "setup.cfg",
    "spos_tf",
)


def _run(
    *command: str | os.PathLike[str],
    cwd: pathlib.Path,
    stdout: int | None = None,
) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        # Neither the repository nor another environment may help out.
        if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    done = subprocess.run(command, cwd=cwd, env=environment, stdout=stdout)
    if done.returncode:
        sys.exit(done.returncode)


def _environment(
    python: str, folder: pathlib.Path, *requirements: str | os.PathLike[str]
) -> pathlib.Path:
    """Makes an environment with some packages; gives its Python."""
    _run(python, "-m", "venv", folder, cwd=folder.parent)
    own = folder / "bin" / "python"
    pip = (own, "-m", "pip", "--disable-pip-version-check")
    _run(
        *pip,
        *("install", "--quiet", "--constraint", _CONSTRAINTS),
        *requirements,
        cwd=folder.parent,
    )
    _run(*pip, "check", cwd=folder.parent)
    return own


def _wheel(folder: pathlib.Path) -> pathlib.Path:
    """Builds the wheel of a copy of the sources, by way of an sdist."""
    copy = folder / "spos_tf"
    copy.mkdir()
    for name in _SOURCES:
        source = _REPOSITORY / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            shutil.copy(source, copy)
    python = _environment(sys.executable, folder / "build", "setuptools")
    # It names every file; what goes wrong is on stderr.
    _run(python, "-c", _BUILD_SDIST, cwd=copy, stdout=subprocess.DEVNULL)
    (sdist,) = (copy / "dist").glob("*.tar.gz")
    pip = (python, "-m", "pip", "--disable-pip-version-check", "wheel")
    _run(
        *pip,
        *("--quiet", "--no-deps", "--no-build-isolation", sdist),
        cwd=folder,
    )
    (wheel,) = folder.glob("*.whl")
    print(f"Built {sdist.name}, and {wheel.name} from it", flush=True)
    return wheel


def _runs(python: str) -> bool:
    """Whether there is such a Python; pyenv has names of some that are not."""
    try:
        return not subprocess.call(
            [python, "-c", ""], stderr=subprocess.DEVNULL
        )
    except FileNotFoundError:
        return False


def main() -> None:
    """Tries the Pythons that the command line names, such as python3.13."""
    there = [python for python in sys.argv[1:] if _runs(python)]
    for python in sys.argv[1:]:
        if python not in there:
            print(f"{python}: skipped, there is none here", flush=True)
    if not there:
        sys.exit("None of the Pythons is here, so nothing was tried")
    with tempfile.TemporaryDirectory(prefix="spos_tf-install-") as name:
        folder = pathlib.Path(name)
        wheel = _wheel(folder)
        for number, python in enumerate(there):
            own = _environment(
                python, folder / f"env{number}", f"{wheel}[digits]"
            )
            work = folder / f"work{number}"
            work.mkdir()
            _run(own, "-P", _CHECK, _REPOSITORY, cwd=work)
            # An environment takes gigabytes.
            shutil.rmtree(folder / f"env{number}")


if __name__ == "__main__":
    main()
