"""What scores are called and how they are written: the one place for it."""

import dataclasses
from collections.abc import Iterable

from spos_tf.report.drawing import drawable
from spos_tf.report.files import Fields
from spos_tf.space.candidate import Candidate


@dataclasses.dataclass(frozen=True)
class Metric:
    """What the scores of a search measure.

    Attributes:
        name: For example `accuracy`, which is a share.
        direction: `max` where a higher score is better, otherwise `min`.
    """

    name: str = "accuracy"
    direction: str = "max"

    @property
    def is_share(self) -> bool:
        """Whether scores are written in percent."""
        return self.name == "accuracy"

    @property
    def label(self) -> str:
        """What the scores are, with the unit.

        >>> Metric().label, Metric("auc").label
        ('supernet accuracy [%]', 'supernet auc')
        """
        return f"supernet {self.name}{' [%]' * self.is_share}"

    @property
    def axis(self) -> str:
        """The label of an axis, which says the direction where it is down.

        >>> Metric().axis, Metric("loss", "min").axis
        ('supernet accuracy [%]', 'supernet loss (less is better)')
        """
        less = " (less is better)" * (self.direction == "min")
        return f"{self.label}{less}"

    def on_axis(self, score: float) -> float:
        """The value that is drawn."""
        return drawable(100 * score if self.is_share else score)

    def text(self, score: float | None) -> str:
        """The score as people read it.

        >>> Metric().text(0.75), Metric("loss", "min").text(0.75)
        ('75.00 %', '0.75')
        """
        if score is None:
            return "-"
        return f"{100 * score:.2f} %" if self.is_share else f"{score:.4g}"

    def rank(self, score: float) -> float:
        """A number that is higher for better scores."""
        return -score if self.direction == "min" else score


def metric_of(candidates: Iterable[Candidate]) -> Metric:
    """What the scores of one search measure; all of its candidates agree."""
    for one in candidates:
        return Metric(one.metric, one.direction)
    return Metric()


def best_score(best: Fields) -> tuple[float | None, Metric]:
    """The score in `best.json` (None if it has none), and what it measures."""
    metric = Metric(
        best.text("metric") or "accuracy", best.text("direction") or "max"
    )
    score = best.number("score" if "score" in best.values else "accuracy")
    return score, metric
