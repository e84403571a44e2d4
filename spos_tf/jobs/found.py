"""What a search found, as other jobs take it."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from spos_tf.analysis.trust import Trust
from spos_tf.data.sources import DataSource
from spos_tf.jobs.run_folder import options_of_run
from spos_tf.jobs.trained import (
    LABELS_FILE,
    SUPERNET_STAGE,
    TrainedSupernet,
    read_labels,
    read_network,
    source_of_run,
)
from spos_tf.networks.blueprint import Blueprint
from spos_tf.options import SpaceOptions
from spos_tf.space import Architecture
from spos_tf.space.candidate import Candidate

SEARCH_STAGE, BEST_FILE = "search", "best.json"


class StoredNetwork(NamedTuple):
    """A network that a search has left in a folder; `train_subnet` takes it.

    Attributes:
        blueprint: The family.
        encoding: int32 `[num_choices]`.
        class_names: Classes in the order of the supernet's outputs; None
            where no file says them.
        source: The data set of the search; None where no file names it.
    """

    blueprint: Blueprint
    encoding: np.ndarray
    class_names: tuple[str, ...] | None
    source: DataSource | None


def read_found(
    work_dir: str | os.PathLike[str],
    name: str = "default",
    space: SpaceOptions | None = None,
) -> StoredNetwork:
    """Reads what a search has found so far.

    Args:
        work_dir: Folder of all results.
        name: Of the search.
        space: What a command line says of the space; the file has to agree.

    Raises:
        UserError: There is no such search, or a file is damaged.
    """
    work_dir = pathlib.Path(work_dir)
    folder = work_dir / SEARCH_STAGE / name
    blueprint, encoding = read_network(folder / BEST_FILE, space=space)
    supernet = options_of_run(folder).get("supernet_name", "default")
    labels = work_dir / SUPERNET_STAGE / str(supernet) / LABELS_FILE
    return StoredNetwork(
        blueprint, encoding, read_labels(labels), source_of_run(folder)
    )


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FoundNetwork:
    """A network that a search found; `train_subnet` takes it.

    Attributes:
        architecture: Its named form.
        blueprint: The family.
        encoding: One option index a choice.
        score: As a path of the supernet.
        metric: Name of what was scored.
        direction: `"max"` where a larger score is better, else `"min"`.
        costs: By name.
        supernet: That was searched.
    """

    architecture: Architecture
    blueprint: Blueprint = dataclasses.field(repr=False)
    encoding: tuple[int, ...]
    score: float
    metric: str
    direction: str
    costs: Mapping[str, int | float]
    supernet: TrainedSupernet = dataclasses.field(repr=False)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Classes in the order of the supernet's outputs, where known."""
        return self.supernet.class_names


@dataclasses.dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Attributes:
        best: The result: the network with the best score, unless the option
            `winner` says otherwise.
        front: Networks that none beats in both score and objective, by rising
            cost; empty unless `strategy="nsga2"`.
        candidates: Everything evaluated, in the order of proposal.
        folder: Where the files are; None for a search in memory.
        trust: How far the scores can be trusted.
    """

    best: FoundNetwork
    front: tuple[FoundNetwork, ...]
    candidates: tuple[Candidate, ...] = dataclasses.field(repr=False)
    folder: pathlib.Path | None
    trust: Trust
