"""Single Path One-Shot neural architecture search on TensorFlow and Keras 3.

The whole job is a handful of functions: `build_blueprint`, `train_supernet`,
`search_supernet`, `train_subnet`, `export_subnet`. Names are imported when
they are first used, so that `import spos_tf` loads no TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spos_tf.cost.counts import network_cost
    from spos_tf.data.inputs import split_arrays
    from spos_tf.data.sources import folder, tfds
    from spos_tf.errors import UserError
    from spos_tf.jobs.check_data import check_data
    from spos_tf.jobs.clear_cache import clear_cache
    from spos_tf.jobs.correlate import correlate_supernet
    from spos_tf.jobs.export import export_subnet
    from spos_tf.jobs.latency import build_latency_table
    from spos_tf.jobs.planning import plan_supernet
    from spos_tf.jobs.report import write_report
    from spos_tf.jobs.search import search_supernet
    from spos_tf.jobs.train_subnet import train_subnet
    from spos_tf.jobs.train_supernet import train_supernet
    from spos_tf.jobs.trained import load_subnet, load_supernet
    from spos_tf.networks.blueprint import Blueprint, Segment
    from spos_tf.networks.subnet import build_subnet
    from spos_tf.networks.supernet import Supernet
    from spos_tf.options import (
        CorrelationOptions,
        ExportOptions,
        LatencyOptions,
        SearchOptions,
        SubnetOptions,
        SupernetOptions,
        TrainingOptions,
    )
    from spos_tf.space import Architecture, Choice, SearchSpace
    from spos_tf.spaces import build_blueprint

__version__ = "0.2.0"

# By the module that has them.
_NAMES = {
    "cost.counts": ("network_cost",),
    "data.inputs": ("split_arrays",),
    "data.sources": ("folder", "tfds"),
    "errors": ("UserError",),
    "jobs.check_data": ("check_data",),
    "jobs.clear_cache": ("clear_cache",),
    "jobs.correlate": ("correlate_supernet",),
    "jobs.export": ("export_subnet",),
    "jobs.latency": ("build_latency_table",),
    "jobs.planning": ("plan_supernet",),
    "jobs.report": ("write_report",),
    "jobs.search": ("search_supernet",),
    "jobs.train_subnet": ("train_subnet",),
    "jobs.train_supernet": ("train_supernet",),
    "jobs.trained": ("load_subnet", "load_supernet"),
    "networks.blueprint": ("Blueprint", "Segment"),
    "networks.subnet": ("build_subnet",),
    "networks.supernet": ("Supernet",),
    "options": (
        "CorrelationOptions",
        "ExportOptions",
        "LatencyOptions",
        "SearchOptions",
        "SubnetOptions",
        "SupernetOptions",
        "TrainingOptions",
    ),
    "space": ("Architecture", "Choice", "SearchSpace"),
    "spaces": ("build_blueprint",),
}
# They compute no network; errors have to be there when others raise them.
_WITHOUT_KERAS = ("errors", "options", "space")
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "Architecture",
    "Blueprint",
    "Choice",
    "CorrelationOptions",
    "ExportOptions",
    "LatencyOptions",
    "SearchOptions",
    "SearchSpace",
    "Segment",
    "SubnetOptions",
    "Supernet",
    "SupernetOptions",
    "TrainingOptions",
    "UserError",
    "__version__",
    "build_blueprint",
    "build_latency_table",
    "build_subnet",
    "check_data",
    "clear_cache",
    "correlate_supernet",
    "export_subnet",
    "folder",
    "load_subnet",
    "load_supernet",
    "network_cost",
    "plan_supernet",
    "search_supernet",
    "split_arrays",
    "tfds",
    "train_subnet",
    "train_supernet",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'spos_tf' has no attribute {name!r}")
    if _MODULES[name] not in _WITHOUT_KERAS:
        from spos_tf.keras_settings import check_keras

        check_keras()
    module = importlib.import_module(f"spos_tf.{_MODULES[name]}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return __all__
