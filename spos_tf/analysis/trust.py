"""How far a search can be trusted: its figures, and what they say in words."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from spos_tf.analysis.reliability import (
    Confirmed,
    Reliability,
    Spread,
    images_needed,
)
from spos_tf.options.training import USUAL_IMAGES_PER_OPTION
from spos_tf.space.candidate import ACCURACY, score_text

# Below the first, scores cannot tell networks apart; from the second on they
# are repeatable. The usual marks for comparing groups and single persons are
# 0.5 to 0.7 and 0.8 to 0.9 (Nunnally, Psychometric Theory).
ROUGH, REPEATABLE = 0.5, 0.8
# With fewer, the interval of a reliability of 0.8 begins at 0.
_FEWEST = 10
# How much of the way from guessing to no error still counts as guessing, and
# how many times the accuracy of guessing, which matters with many classes.
_GUESSING_SHARE, _GUESSING_TIMES = 0.1, 1.5
_GUESSING = "The supernet is still close to guessing: train it longer"
MEANING = (
    "Reliability says how well scores repeat on other images, not how well "
    "they predict the accuracy of networks trained from scratch."
)


@dataclasses.dataclass(frozen=True)
class Trust:
    """How far the scores of a search can be trusted.

    Attributes:
        chance: Accuracy of guessing; None for other metrics.
        mean: Mean score of the random networks that the search began with.
        spread: Standard deviation of these scores.
        standard_error: Of one score, as images are drawn.
        reliability: How well scores repeat on other images.
        confirmed: The winner beside random networks, on images that neither
            training nor search used; None where there are none, or the search
            is not over.
        lines: The same in words, a line a finding.
    """

    chance: float | None
    mean: float | None
    spread: float | None
    standard_error: float | None
    reliability: Reliability
    confirmed: Confirmed | None
    lines: tuple[str, ...] = dataclasses.field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """What `best.json` holds; null where not known."""
        fields = dataclasses.asdict(self)
        del fields["lines"]
        return fields

    @classmethod
    def of(
        cls,
        metric: str,
        scores: Spread,
        found: Reliability,
        *,
        images: int,
        chance: float | None = None,
        seen: int | None = None,
        confirmed: Confirmed | None = None,
        unconfirmed: str = "",
    ) -> "Trust":
        """The figures with their words.

        Args:
            metric: Name of what is scored.
            scores: Of the random networks.
            found: Of the same networks.
            images: That a score is of.
            chance: Accuracy of guessing, for accuracies.
            seen: Images that each option was trained on; None where it is not
                known.
            confirmed: The winner's confirmation.
            unconfirmed: Why there is none.
        """
        lines = [
            repeatability(found, images=images, seen=seen),
            *_spread_line(metric, scores, chance),
            *_confirmation_lines(metric, confirmed, unconfirmed),
            MEANING,
        ]
        return cls(
            chance,
            scores.mean,
            scores.spread,
            scores.standard_error,
            found,
            confirmed,
            tuple(lines),
        )


def repeatability(found: Reliability, *, images: int, seen: int | None) -> str:
    """What a reliability means, and what to do about it.

    Args:
        found: The reliability.
        images: That a score is of.
        seen: Images that each option was trained on, where it is known.

    >>> print(repeatability(
    ...     Reliability(0.26, 0.0, 0.56, 60), images=2000, seen=4000))
    The scores cannot tell these networks apart (reliability 0.26, 95 % \
interval 0.00 to 0.56, 60 random networks). Train longer: each option has seen \
4,000 images; 300,000 are usual. About 22,770 images to score on, in place of \
2,000, would give 0.8.
    """
    if found.value is None:
        return (
            "How well the scores repeat is not known: it takes at least 4 "
            "random networks and 2 images, scored on both halves."
        )
    if found.candidates < _FEWEST:
        says = "It cannot be said yet how well the scores repeat"
    elif found.value < ROUGH:
        says = "The scores cannot tell these networks apart"
    elif found.value < REPEATABLE:
        says = "The scores tell these networks apart only roughly"
    else:
        says = "The scores of these networks are repeatable"
    interval = ""
    if found.low is not None and found.high is not None:
        interval = f"95 % interval {found.low:.2f} to {found.high:.2f}, "
    text = (
        f"{says} (reliability {found.value:.2f}, {interval}"
        f"{found.candidates} random networks)."
    )
    return " ".join([text, *_advice(found, found.value, images, seen)])


def _advice(
    found: Reliability, value: float, images: int, seen: int | None
) -> list[str]:
    """What would help."""
    if found.candidates < _FEWEST:
        return [
            f"That takes at least {_FEWEST} random networks: give the search "
            "more time or a larger first generation."
        ]
    advice = []
    if found.low is not None and found.low < ROUGH <= value:
        advice.append(
            f"It may as well be below {ROUGH}; more random networks would tell."
        )
    if value >= REPEATABLE:
        return advice
    if seen is not None and seen < USUAL_IMAGES_PER_OPTION:
        advice.append(
            f"Train longer: each option has seen {seen:,} images; "
            f"{USUAL_IMAGES_PER_OPTION:,} are usual."
        )
    needed = images_needed(value, images, REPEATABLE)
    if needed is not None:
        advice.append(
            f"About {needed:,} images to score on, in place of {images:,}, "
            f"would give {REPEATABLE}."
        )
    return advice


def _spread_line(
    metric: str, scores: Spread, chance: float | None
) -> list[str]:
    if scores.mean is None:
        return []
    text = f"Random networks score {score_text(metric, scores.mean)} on average"
    if chance is not None:
        text += f", where chance is {score_text(metric, chance)}"
    if scores.spread is not None:
        text += f", and spread by {_difference(metric, scores.spread)}"
        if scores.noise is not None:
            text += (
                "; networks of equal quality would spread by "
                f"{_difference(metric, scores.noise)}"
            )
    if scores.standard_error is not None:
        text += (
            ". One score has a standard error of "
            f"{_difference(metric, scores.standard_error)}"
        )
    if _is_guessing(scores.mean, chance):
        text += f". {_GUESSING}"
    return [f"{text}."]


def _is_guessing(score: float, chance: float | None) -> bool:
    """Whether networks of such a mean score have hardly learned anything."""
    return chance is not None and score < min(
        chance + _GUESSING_SHARE * (1 - chance), _GUESSING_TIMES * chance
    )


def guessing_line(metric: str, score: float, chance: float | None) -> str:
    """What a training says at its end if its networks hardly beat guessing.

    Args:
        metric: Name of what is scored.
        score: Mean score of the networks that were validated.
        chance: Accuracy of guessing; None for other metrics.

    Returns:
        A sentence or two, or nothing where they have learned.
    """
    if chance is None or not _is_guessing(score, chance):
        return ""
    return (
        f"The validation found {score_text(metric, score)} on average, where "
        f"chance is {score_text(metric, chance)}. {_GUESSING}."
    )


def _confirmation_lines(
    metric: str, found: Confirmed | None, why_not: str
) -> Sequence[str]:
    if found is None:
        return [why_not] if why_not else []
    better = found.difference >= 0
    text = (
        "On images that neither training nor search used, the winner scores "
        f"{score_text(metric, found.winner)} and random networks under the "
        f"same limits {score_text(metric, found.random_mean)}: "
        f"{_difference(metric, abs(found.difference))} "
        f"{'better' if better else 'worse'}"
    )
    if found.low is None or found.high is None:
        return [f"{text}."]
    text += (
        f" (95 % interval of the advantage {_difference(metric, found.low)} "
        f"to {_difference(metric, found.high)})."
    )
    if found.low <= 0 <= found.high:
        text += " This may be luck."
    return [text]


def _difference(metric: str, value: float) -> str:
    """A difference of scores.

    >>> _difference("accuracy", 0.0066), _difference("loss", 0.25)
    ('0.66 points', '0.25')
    """
    return f"{100 * value:.2f} points" if metric == ACCURACY else f"{value:.3g}"
