"""A trained supernet and what of it is searched."""

import dataclasses
import pathlib
from typing import Any

from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.jobs import data as job_data
from spos_tf.jobs.blueprints import place_options
from spos_tf.jobs.pins import pinned
from spos_tf.jobs.trained import SearchData, TrainedSupernet
from spos_tf.networks.blueprint import Blueprint
from spos_tf.options import (
    Options,
    PinOptions,
    ScoringOptions,
    SupernetNameOptions,
)
from spos_tf.strict_json import parse_json


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """A trained supernet and what of it is searched.

    Attributes:
        supernet: The supernet.
        blueprint: With all pins, the supernet's and the search's.
        pins: The search's.
        metric: What paths are scored by.
        train: Images of the training, where they were given.
    """

    supernet: TrainedSupernet
    blueprint: Blueprint
    pins: PinOptions
    metric: ScoreMetric
    train: Any

    @classmethod
    def of(
        cls,
        supernet: TrainedSupernet,
        pins: PinOptions,
        metric: ScoreMetric,
        train: Any,
    ) -> "Subject":
        """What the arguments of a search name.

        Raises:
            UserError: A pin is not legal or contradicts another one.
        """
        inherited = supernet.description.get("pins")
        smaller, _ = pinned(supernet.blueprint, pins, inherited)
        return cls(supernet, smaller, pins, metric, train)

    def images(
        self, options: ScoringOptions, validation: Any, recalibration: Any
    ) -> SearchData:
        """What paths are recalibrated and scored on.

        Raises:
            UserError: The images cannot be had.
        """
        return job_data.search_data(
            self.supernet,
            options,
            validation=validation,
            recalibration=recalibration,
            source=self.train,
        )

    def options(
        self, work_dir: pathlib.Path, name: str, threads: int | None
    ) -> tuple[Options, ...]:
        """What `run.json` says besides the options of a search."""
        source = self.supernet.source if self.train is None else self.train
        named = job_data.source_options(source)
        return (
            *place_options(work_dir, name, self.supernet.blueprint, threads),
            *named,
            SupernetNameOptions(supernet_name=self.supernet.name),
            self.pins,
        )

    def metric_words(self) -> dict[str, Any]:
        """What `run.json` says of a metric, which no flag can name."""
        described = parse_json(self.metric.identity)
        return {} if described["metric"] is None else {"metric": described}
