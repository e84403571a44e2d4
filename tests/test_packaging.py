"""What setup.cfg and the constraints declare is what the code imports."""

import configparser
import importlib
import pathlib
import re
import sys

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import spos_tf
from source_tree import REPO, modules
from spos_tf.cli import program
from spos_tf.errors import missing_extra

# Where the name to import is not the name to install.
DISTRIBUTIONS = {
    "yaml": "PyYAML",
    "absl": "absl-py",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
}
# Extras of which the library imports something, each at one place.
USED = {"digits": "sklearn", "nsga2": "pymoo", "ray": "ray"}
# Files outside the library are imported by their bare names.
OURS = (
    {"spos_tf"}
    | {
        pathlib.PurePath(module.path).stem
        for module in modules("tools", "tests", "benchmarks", "qa")
    }
    | {path.name for path in (REPO / "tests").iterdir() if path.is_dir()}
)


def read_config() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(REPO / "setup.cfg", "utf-8")
    return config


def declared() -> dict[str, dict[str, Requirement]]:
    """Requirements of setup.cfg: `{extra or "": {name: requirement}}`."""
    config = read_config()
    lists = {"": config["options"]["install_requires"]}
    lists.update(config["options.extras_require"])
    return {
        extra: {
            canonicalize_name(requirement.name): requirement
            for requirement in (
                Requirement(line)
                for line in lines.splitlines()
                if line.strip() and not line.strip().startswith("#")
            )
        }
        for extra, lines in lists.items()
    }


def pins(file: str) -> dict[str, str]:
    """Versions of a file of constraints by name."""
    lines = (REPO / file).read_text("utf-8").splitlines()
    return {
        canonicalize_name(name): version
        for name, version in (
            line.split("==") for line in lines if line and line[0] != "#"
        )
    }


def imported(*folders: str) -> set[str]:
    """Distributions that the files under some folders import."""
    tops = {
        name.split(".")[0]
        for module in modules(*folders)
        for _, name in module.imports()
    }
    return {
        canonicalize_name(DISTRIBUTIONS.get(top, top))
        for top in tops - OURS - set(sys.stdlib_module_names)
    }


def test_imports_are_declared():
    requirements = declared()
    needed = imported("spos_tf", "tools")
    assert needed <= {
        name for extra in ("", *USED) for name in requirements[extra]
    }
    needed = imported("tests", "benchmarks", "qa")
    # pytest itself requires packaging. What the package is compared with has
    # an environment of its own (`make torch-env`).
    allowed = {"packaging", "torch"}
    assert needed <= allowed.union(*requirements.values())


def test_torch_is_for_the_peer_alone():
    users = [
        module.path
        for module in modules("spos_tf", "tools", "tests", "benchmarks", "qa")
        if any(name.split(".")[0] == "torch" for _, name in module.imports())
    ]
    assert users == ["benchmarks/peer_torch.py"]


@pytest.mark.parametrize("extra", ["", *USED, "docs", "test"])
def test_pins_lie_in_the_ranges(extra):
    pinned = pins("constraints.txt")
    for name, requirement in declared()[extra].items():
        assert pinned[name] in requirement.specifier, requirement


@pytest.mark.parametrize("extra", ["", *USED, "test"])
def test_oldest_pins_are_the_floors(extra):
    """So that a range claims nothing that `make test-oldest` does not run."""
    pinned = pins("constraints-oldest.txt")
    for name, requirement in declared()[extra].items():
        floors = [
            Version(one.version)
            for one in requirement.specifier
            if one.operator == ">="
        ]
        assert floors == [Version(pinned[name])], requirement


def test_python_versions_agree():
    config = read_config()
    allowed = SpecifierSet(config["options"]["python_requires"])
    named = re.findall(
        r"Python :: (3\.\d+)$", config["metadata"]["classifiers"], re.M
    )
    assert named == ["3.11", "3.12", "3.13"]
    assert all(version in allowed for version in named)
    assert "3.10" not in allowed


def test_every_folder_of_the_library_is_a_package():
    folders = {(REPO / module.path).parent for module in modules("spos_tf")}
    assert [f for f in folders if not (f / "__init__.py").is_file()] == []


def packaged() -> set[str]:
    """Files of the library that are package data, from the repository."""
    return {
        path.relative_to(REPO).as_posix()
        for package, patterns in read_config()["options.package_data"].items()
        for pattern in patterns.split()
        if not pattern.startswith("#")
        for path in (REPO / package.replace(".", "/")).glob(pattern)
    }


def test_other_files_of_the_library_are_package_data():
    """`packages = find:` would leave any other file out of a wheel."""
    others = {
        path.relative_to(REPO).as_posix()
        for path in (REPO / "spos_tf").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    configs = {
        f"spos_tf/{path.relative_to(REPO).as_posix()}"
        for path in (REPO / "saved_configs").rglob("*")
        if path.is_file()
    }
    assert configs
    assert "spos_tf/py.typed" in others
    assert packaged() == others | configs


@pytest.mark.parametrize("extra", USED)
def test_the_absence_of_an_extra_is_explained(extra):
    library = modules("spos_tf")
    assert any(
        name.split(".")[0] == USED[extra]
        for module in library
        for _, name in module.imports()
    )
    pattern = rf'missing_extra\("[^"]+", "{extra}"\)'
    assert any(re.search(pattern, module.source) for module in library)


def test_nobody_is_told_to_install_ours_from_the_index():
    """There is no such name on it, and someone else could take it."""
    pattern = re.compile(
        r"pip install[^\n]{0,80}(?<![/.\w])spos_tf(\[|\b(?!-))"
    )
    files = [
        *(REPO / module.path for module in modules("spos_tf", "tools")),
        *REPO.glob("*.md"),
        *(REPO / "docs").glob("*.md"),
    ]
    told = [
        str(path) for path in files if pattern.search(path.read_text("utf-8"))
    ]
    assert told == []


def test_a_missing_extra_says_the_ways_out():
    message = str(missing_extra("A search", "ray"))
    assert message.startswith("A search needs")
    assert "pip install -e '.[ray]'" in message
    assert ".whl" in message
    assert re.search(r"or alone: pip install 'ray>=[\d.]+'\.$", message)
    assert "\n" not in message


def test_the_version_stands_once():
    metadata = read_config()["metadata"]
    assert metadata["version"] == "attr: spos_tf.__version__"
    citation = yaml.safe_load((REPO / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == spos_tf.__version__
    assert citation["license"] == metadata["license"]
    (paper,) = citation["references"]
    assert paper["authors"][0]["family-names"] == "Guo"
    changes = (REPO / "CHANGELOG.md").read_text("utf-8")
    newest = re.search(r"^## (.*)$", changes, re.M)
    assert newest and newest[1] == spos_tf.__version__


@pytest.mark.parametrize(
    "kind",
    [
        "Development Status",
        "Intended Audience",
        "Operating System",
        "Topic",
    ],
)
def test_classifiers(kind):
    metadata = read_config()["metadata"]
    assert f"\n{kind} :: " in metadata["classifiers"]
    assert metadata["author"]
    # An expression; setuptools wants no classifier beside it.
    assert metadata["license"] == "Apache-2.0"
    assert "https://" in metadata["project_urls"]


def test_the_command_is_declared():
    scripts = read_config()["options.entry_points"]["console_scripts"]
    ((name, _, target),) = [
        line.partition(" = ") for line in scripts.strip().splitlines()
    ]
    module, _, function = target.partition(":")
    assert name == "spos"
    assert getattr(importlib.import_module(module), function) is program.main
