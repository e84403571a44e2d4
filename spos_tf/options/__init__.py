"""The options of every job: type, default, range and help, once.

A job takes one of these frozen objects, the command line makes its flags of
their fields, `run.json` holds their values, and workers get them. Nothing here
needs TensorFlow, so that `--help` answers at once.

An option whose default is None may get its value later: from the recipe of
the preset (`with_recipe`), or from the option that it belongs to (`complete`).
"""

from spos_tf.options.fields import About, Option, Options, flag_lines, option
from spos_tf.options.files import (
    EXPORTED_ARCHITECTURES,
    EvaluationOptions,
    ExportOptions,
    LatencyOptions,
    SubnetNameOptions,
)
from spos_tf.options.places import (
    LimitOptions,
    NetworkOptions,
    PinOptions,
    RunOptions,
    SourceOptions,
    SpaceOptions,
    SupernetNameOptions,
    ThreadOptions,
)
from spos_tf.options.scoring import (
    CacheOptions,
    CachePlaceOptions,
    CorrelationOptions,
    LimitsTableOptions,
    MeasuringOptions,
    ScoringOptions,
    SearchOptions,
    TableOptions,
    WorkerOptions,
)
from spos_tf.options.training import (
    RECIPES,
    ImageOptions,
    Recipe,
    StartOptions,
    SubnetOptions,
    SupernetOptions,
    TrainingOptions,
    WeightsOptions,
    recipe_of,
)

__all__ = [
    "About",
    "CacheOptions",
    "CachePlaceOptions",
    "CorrelationOptions",
    "EXPORTED_ARCHITECTURES",
    "EvaluationOptions",
    "ExportOptions",
    "ImageOptions",
    "LatencyOptions",
    "LimitOptions",
    "LimitsTableOptions",
    "MeasuringOptions",
    "NetworkOptions",
    "Option",
    "Options",
    "PinOptions",
    "RECIPES",
    "Recipe",
    "RunOptions",
    "ScoringOptions",
    "SearchOptions",
    "SourceOptions",
    "SpaceOptions",
    "StartOptions",
    "SubnetNameOptions",
    "SubnetOptions",
    "SupernetNameOptions",
    "SupernetOptions",
    "TableOptions",
    "ThreadOptions",
    "TrainingOptions",
    "WeightsOptions",
    "WorkerOptions",
    "flag_lines",
    "option",
    "recipe_of",
]
