"""What a search found, as other jobs take it."""

import dataclasses
import pathlib
from collections.abc import Mapping

from spos_tf.analysis.trust import Trust
from spos_tf.jobs.trained import TrainedSupernet
from spos_tf.networks.blueprint import Blueprint
from spos_tf.space import Architecture
from spos_tf.space.candidate import Candidate


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

    @classmethod
    def of(
        cls,
        candidate: Candidate,
        blueprint: Blueprint,
        supernet: TrainedSupernet,
    ) -> "FoundNetwork":
        """What a candidate of a search is.

        Args:
            candidate: Evaluated.
            blueprint: The family, with its pins.
            supernet: That was searched.
        """
        return cls(
            architecture=blueprint.architecture(candidate.encoding),
            blueprint=blueprint,
            encoding=candidate.encoding,
            score=candidate.score,
            metric=candidate.metric,
            direction=candidate.direction,
            costs=dict(candidate.costs),
            supernet=supernet,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Attributes:
        best: The network with the best score.
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
