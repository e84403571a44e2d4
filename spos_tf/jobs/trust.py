"""How far a search can be trusted: its figures and a confirmation."""

from collections.abc import Sequence
from typing import Any

from spos_tf.analysis.reliability import (
    Confirmed,
    confirm,
    reliability,
    spread_of,
)
from spos_tf.analysis.trust import Trust
from spos_tf.cost.feasible import sample_feasible
from spos_tf.evaluation.scorer import Encoding, Scorer
from spos_tf.jobs.scoring import ScoringTask
from spos_tf.jobs.trained import TrainedSupernet
from spos_tf.options import SearchOptions
from spos_tf.progress import progress
from spos_tf.randomness import Purpose, derive_seed, generator
from spos_tf.search.generations import Proposer, as_key
from spos_tf.space.candidate import Candidate

# Random networks beside the winner.
_RANDOM = 20
_RESAMPLES = 2000


class TrustOf:
    """Says how far the candidates of one search can be trusted.

    Args:
        task: How they are scored.
        options: Of the search.
    """

    def __init__(self, task: ScoringTask, options: SearchOptions) -> None:
        self._task = task
        self._options = options
        self._seen = images_per_option(task.supernet)

    def __call__(
        self,
        candidates: Sequence[Candidate],
        confirmed: Confirmed | None = None,
        *,
        is_over: bool = False,
    ) -> Trust:
        """The figures of what was evaluated so far.

        Args:
            candidates: Everything evaluated.
            confirmed: The winner's confirmation, if there is one.
            is_over: Whether the search is, so that there would be one.
        """
        # What a search chooses is no random sample, and lies closer together.
        random = [
            one
            for one in candidates
            if one.generation == 0 or self._options.strategy == "random"
        ]
        return trust_of_scores(
            self._task,
            [one.score for one in random],
            [one.halves or () for one in random],
            seen=self._seen,
            confirmed=confirmed,
            unconfirmed=self._unconfirmed() if is_over else "",
        )

    def _unconfirmed(self) -> str:
        kept = self._task.supernet.description.get("confirm_per_class")
        why = "the training kept no images back for that"
        if kept and self._task.confirmation is None:
            why = "the images that the training kept back for it are not given"
        elif kept:
            why = "its scores are not of the supernet's images"
        return f"The winner is not confirmed: {why} (`confirm_per_class`)."


def trust_of_scores(
    task: ScoringTask,
    scores: Sequence[float],
    halves: Sequence[Sequence[float]],
    **known: Any,
) -> Trust:
    """How far scores of random networks can be trusted.

    Args:
        task: How they are scored.
        scores: One a network.
        halves: The scores on both halves of the images, likewise.
        **known: What else `Trust.of` takes.
    """
    metric, images = task.metric, len(task.validation)
    hits = metric.counts_hits
    return Trust.of(
        metric.name,
        spread_of(scores, halves, images if hits else None),
        reliability(halves),
        images=images,
        chance=metric.chance,
        **known,
    )


def images_per_option(supernet: TrainedSupernet) -> int | None:
    """Training images that an option of the supernet has seen.

    It is the mean over the options of the choice that has the most.

    Args:
        supernet: Its run.json says how it was trained.

    Returns:
        None where that is not known.
    """
    options = supernet.training_options
    batch = options.get("batch_size")
    legal = supernet.blueprint.search_space.legal_options
    most = max((len(one) for one in legal), default=1)
    algorithm = options.get("algorithm", "single_path")
    if not isinstance(batch, int):
        return None
    share = 1 / most
    if algorithm == "gumbel":
        share = 1.0
    elif algorithm == "two_path":
        share = min(1.0, 2 / most)
    elif algorithm == "path_dropout":
        keep = options.get("keep_rate")
        if not isinstance(keep, int | float):
            return None
        if options.get("keep_rate_schedule") == "linear":
            keep = (1 + keep) / 2
        # Where all would be dropped, one is drawn.
        share = keep + (1 - keep) ** most / most
    return round(supernet.step * batch * share)


def confirm_winner(
    winner: Encoding, scorer: Scorer, algorithm: Proposer, direction: str
) -> Confirmed:
    """Scores the winner and random networks on images that nobody used.

    Args:
        winner: Its encoding.
        scorer: On these images; see `Scorer.confirming`.
        algorithm: That found it: its space, limits and seed hold for the
            random networks too.
        direction: `"max"` or `"min"`.

    Raises:
        UserError: A score is not finite.
    """
    seed = algorithm.options.seed
    drawn = sample_feasible(
        algorithm.space,
        algorithm.constraints,
        generator(seed, Purpose.CONFIRMATION),
        _RANDOM,
        canonical=algorithm.canonical,
    )
    encodings = [winner, *map(as_key, drawn)]
    positions = scorer.submit(encodings)
    found = {}
    with progress(
        total=len(encodings), desc="confirmation", unit="path"
    ) as bar:
        for result in scorer.results():
            found[result.position] = result
            bar.update()
    results = [found[position] for position in positions]
    return confirm(
        [one.score for one in results],
        [one.parts for one in results],
        direction=direction,
        resamples=_RESAMPLES,
        seed=derive_seed(seed, Purpose.CONFIRMATION_RESAMPLES),
    )
