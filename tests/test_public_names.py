"""The public names: what `import spos_tf` offers, and what it costs."""

import doctest
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys

import pytest

import spos_tf

# Not the test process's: what a fresh one loads, and how fast.
LOADED = """
import json, sys, time
start = time.perf_counter()
import spos_tf
seconds = time.perf_counter() - start
spos_tf.TrainingOptions, spos_tf.UserError, spos_tf.SearchSpace
heavy = {"tensorflow", "keras", "absl", "matplotlib", "sklearn"}
print(json.dumps([seconds, sorted(heavy & set(sys.modules))]))
"""
# Whatever a module of ours binds in the package is a room or a file of it.
OURS = {module.name for module in pkgutil.iter_modules(spos_tf.__path__)}


def test_the_import_is_fast_and_loads_no_tensorflow():
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    seconds, loaded = json.loads(done.stdout)
    assert seconds < 0.5
    assert loaded == []


@pytest.mark.parametrize("name", spos_tf.__all__)
def test_every_name_is_there_and_documented(name):
    value = getattr(spos_tf, name)
    if name != "__version__":
        assert value.__name__ == name
        assert value.__doc__


@pytest.mark.parametrize("name", sorted(set(spos_tf.__all__) - {"__version__"}))
def test_the_examples_of_a_name_run(name):
    value = getattr(spos_tf, name)
    module = vars(sys.modules[value.__module__])
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner()
    for example in finder.find(value, name, globs={**module}):
        assert runner.run(example).failed == 0


def test_names_stay_what_they_are_when_all_modules_are_loaded():
    """Loading a module binds its name in the package it is in."""
    before = {name: getattr(spos_tf, name) for name in spos_tf.__all__}
    for module in pkgutil.walk_packages(spos_tf.__path__, "spos_tf."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    after = {name: getattr(spos_tf, name) for name in spos_tf.__all__}
    assert before == after


def test_nothing_else_is_public():
    assert dir(spos_tf) == sorted(spos_tf.__all__)
    bound = {name for name in vars(spos_tf) if not name.startswith("_")}
    imported = {"Any", "TYPE_CHECKING", "importlib"}
    assert bound <= {*spos_tf.__all__, *OURS, *imported}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        spos_tf.train  # noqa: B018


# What is promised to those who call it, first arguments first.
PROMISED = {
    "build_blueprint": "name **arguments",
    "train_supernet": "blueprint train work_dir options validation "
    "recalibration class_names loss metric labels direction callbacks",
    "search_supernet": "supernet options validation recalibration **limits",
    "train_subnet": "network train test work_dir options class_names loss "
    "metric labels direction callbacks",
    "export_subnet": "model folder compare_on formats representative "
    "architecture",
    "load_supernet": "work_dir blueprint",
    "load_subnet": "folder",
    "folder": "path",
    "tfds": "name data_dir",
    "correlate_supernet": "supernet table",
    "build_latency_table": "blueprint output",
    "write_report": "work_dir",
    "check_data": "data",
    "build_subnet": "blueprint encoding",
    "network_cost": "blueprint encoding",
}
CLASSES = (
    *("Architecture", "Blueprint", "Choice", "SearchSpace", "Supernet"),
    *("TrainingOptions", "SupernetOptions", "SubnetOptions"),
    *("SearchOptions", "CorrelationOptions", "ExportOptions"),
    *("LatencyOptions", "UserError"),
)


@pytest.mark.parametrize(("name", "arguments"), PROMISED.items())
def test_what_is_promised_is_there(name, arguments):
    found = inspect.signature(getattr(spos_tf, name)).parameters.values()
    names = [str(one).partition(":")[0].partition("=")[0] for one in found]
    wanted = arguments.split()
    places = [names.index(one) for one in wanted]
    assert places == sorted(places)
    assert names[0] == wanted[0]


def test_every_promised_name_is_public():
    assert {*PROMISED, *CLASSES} <= {*spos_tf.__all__}
