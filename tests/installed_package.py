"""What a person gets who installs the wheel: is all of it there, does it work?

`python tests/installed_package.py REPOSITORY` is run by the Python in whose
environment the wheel was installed, in a folder of no other use; see
tests/install_wheel.py. It ends at the first thing that is wrong, with
exit code 1 and a line that says what.
"""

import importlib
import pathlib
import pkgutil
import platform
import subprocess
import sys

_TRAIN = (
    "train_supernet",
    "--search_space=shufflenet_blocks",
    "--preset=demo",
    "--dataset=digits",
    "--steps=2",
    "--batch_size=16",
    "--work_dir=runs",
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
    files = sorted(
        path.relative_to(source)
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    for file in files:
        target = installed / file
        if not target.is_file():
            sys.exit(f"{file} was not installed")
        if target.read_bytes() != (source / file).read_bytes():
            sys.exit(f"{file} was installed as something else")
    return len(files)


def _import_all() -> int:
    """Imports every module of the package; gives their number."""
    import spos_tf

    names = [
        module.name
        for module in pkgutil.walk_packages(spos_tf.__path__, "spos_tf.")
    ]
    for name in names:
        importlib.import_module(name)
    return len(names)


def _run(repository: pathlib.Path, tool: str, *flags: str) -> str:
    """Runs a tool; gives its standard output."""
    result = subprocess.run(
        [sys.executable, repository / "tools" / f"{tool}.py", *flags],
        capture_output=True,
        text=True,
    )
    # absl ends with 1 after --help.
    if result.returncode != ("--help" in flags):
        sys.exit(
            f"{tool} {' '.join(flags)} ended with {result.returncode}:\n"
            f"{result.stderr}"
        )
    return result.stdout


def _check_help(repository: pathlib.Path) -> int:
    """Every tool shows its help; gives their number."""
    tools = [
        path.stem
        for path in sorted((repository / "tools").glob("*.py"))
        if "program.run(main)" in path.read_text("utf-8")
    ]
    for tool in tools:
        if f"tools/{tool}.py:\n  --" not in _run(repository, tool, "--help"):
            sys.exit(f"{tool} --help does not show its flags")
    return len(tools)


def _check_work(repository: pathlib.Path) -> str:
    """Two steps of a supernet and their report; says what came out."""
    _run(repository, *_TRAIN)
    (checkpoint,) = pathlib.Path("runs").glob("**/*.npz")
    _run(repository, "report", "--work_dir=runs")
    page = pathlib.Path("runs/report.html").read_text("utf-8")
    if "<style>" not in page or "spos train_supernet --flagfile=" not in page:
        sys.exit("report.html lacks its style or the run's command")
    return f"{checkpoint.name} and a report of {len(page):,} characters"


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
    print(f"  {_check_help(repository)} tools show their --help")
    print(f"  two steps of a supernet: {_check_work(repository)}", flush=True)


if __name__ == "__main__":
    main()
