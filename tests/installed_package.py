"""What a person gets who installs the wheel: is all of it there, does it work?

`python tests/installed_package.py REPOSITORY` is run by the Python in whose
environment the wheel was installed, in an empty folder; see
tests/install_wheel.py. The repository is only compared with what was
installed. It ends at the first thing that is wrong, with exit code 1 and a
line that says what.
"""

import importlib
import json
import pathlib
import pkgutil
import platform
import subprocess
import sys

# Of the demo's configurations only the lengths are others.
_JOB = (
    (
        "train_supernet",
        "--flagfile=saved_configs/train_supernet/digits.flags",
        "--steps=40",
        "--work_dir=runs",
    ),
    (
        "search",
        "--flagfile=saved_configs/search/digits.flags",
        "--population=6",
        "--generations=2",
        "--top_k=3",
        "--work_dir=runs",
    ),
    (
        "train_subnet",
        "--flagfile=saved_configs/train_subnet/digits.flags",
        "--steps=60",
        "--work_dir=runs",
    ),
    ("evaluate", "--dataset=digits", "--work_dir=runs"),
    (
        "export",
        "--dataset=digits",
        "--formats=tflite,onnx",
        "--work_dir=runs",
    ),
    ("report", "--work_dir=runs"),
)


def _installed(repository: pathlib.Path) -> pathlib.Path:
    """The folder of the installed package, which is not the repository's."""
    import spos_tf

    folder = pathlib.Path(spos_tf.__file__).resolve().parent
    if folder.is_relative_to(repository) or "site-packages" not in folder.parts:
        sys.exit(f"spos_tf was imported from {folder}, not as it was installed")
    return folder


def _check_files(source: pathlib.Path, installed: pathlib.Path) -> int:
    """Every file of the source is installed as it is; gives their number."""
    files = [
        *source.rglob("*"),
        # Behind a link, which `rglob` does not follow everywhere.
        *(source / "saved_configs").resolve().rglob("*"),
    ]
    configs = (source / "saved_configs").resolve()
    count = 0
    for file in sorted(files):
        if not file.is_file() or "__pycache__" in file.parts:
            continue
        if file.is_relative_to(configs):
            target = installed / "saved_configs" / file.relative_to(configs)
        else:
            target = installed / file.relative_to(source)
        if not target.is_file():
            sys.exit(f"{target} was not installed")
        if target.read_bytes() != file.read_bytes():
            sys.exit(f"{target} was installed as something else")
        count += 1
    return count


def _import_all() -> int:
    """Imports every module of the package; gives their number.

    Those that are built on a package of an extra are left out where it is not
    installed.
    """
    import spos_tf

    count = 0
    for module in pkgutil.walk_packages(spos_tf.__path__, "spos_tf."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("pymoo", "ray"):
                raise
            continue
        count += 1
    return count


def _spos(command: str, *flags: str) -> str:
    """Runs a command; gives its standard output."""
    program = pathlib.Path(sys.executable).with_name("spos")
    result = subprocess.run(
        [program, command, *flags], capture_output=True, text=True
    )
    # absl ends with 1 after --help.
    if result.returncode != ("--help" in flags):
        sys.exit(
            f"spos {command} {' '.join(flags)} ended with "
            f"{result.returncode}:\n{result.stderr}"
        )
    return result.stdout


def _check_help() -> int:
    """Every command shows its help; gives their number."""
    from spos_tf.cli.program import COMMANDS

    overview = _spos("help")
    for name in COMMANDS:
        if f"\n  {name} " not in overview:
            sys.exit(f"spos help does not list {name}")
        if "\n  --" not in _spos(name, "--help"):
            sys.exit(f"spos {name} --help does not show its flags")
    return len(COMMANDS)


def _check_job() -> str:
    """The whole job by commands; says what came out."""
    for command, *flags in _JOB:
        _spos(command, *flags)
    manifest = json.loads(
        pathlib.Path("runs/export/default/manifest.json").read_text("utf-8")
    )
    if manifest["labels"] != [str(digit) for digit in range(10)]:
        sys.exit(f"manifest.json has the labels {manifest['labels']}")
    page = pathlib.Path("runs/report.html").read_text("utf-8")
    if "<style>" not in page or "spos train_supernet" not in page:
        sys.exit("report.html lacks its style or the run's command")
    return f"{', '.join(manifest['files'])}, a report of {len(page):,} letters"


def _check_python() -> str:
    """The whole job from Python, in several ways; gives their names."""
    # `python -P` leaves this folder out, which has nothing of the package.
    sys.path.append(str(pathlib.Path(__file__).resolve().parent))
    import whole_jobs

    for job in whole_jobs.ALL:
        folder = pathlib.Path("python", job.__name__)
        folder.mkdir(parents=True)
        job(folder)
    return ", ".join(job.__name__ for job in whole_jobs.ALL)


def main() -> None:
    """Checks one thing after the other and prints what was found."""
    repository = pathlib.Path(sys.argv[1]).resolve()
    installed = _installed(repository)
    import keras
    import tensorflow as tf

    print(
        f"Python {platform.python_version()}, TensorFlow {tf.__version__}, "
        f"Keras {keras.__version__}"
    )
    source = repository / "spos_tf"
    print(f"  {_check_files(source, installed)} files installed as they are")
    print(f"  {_import_all()} modules imported")
    print(f"  {_check_help()} commands show their --help")
    print(f"  the job by spos: {_check_job()}", flush=True)
    print(f"  the job from Python: {_check_python()}", flush=True)


if __name__ == "__main__":
    main()
