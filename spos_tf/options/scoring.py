"""How paths are scored, searched and compared with a benchmark."""

import dataclasses
import math
import re
from typing import Literal

from spos_tf.errors import UserError
from spos_tf.options.fields import FREE, PLACE, Options, option
from spos_tf.options.training import DtypePolicy, ImageOptions, WeightsOptions

_PARTS = re.compile(
    r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?"
)
_SECONDS = (3600.0, 60.0, 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CachePlaceOptions(Options):
    """Where decoded images are kept."""

    cache_dir: str | None = option(
        None,
        "Folder of decoded images, shared by all searches. If unset, the "
        "folder spos_tf in XDG_CACHE_HOME or ~/.cache. Its files can always "
        "be made again; clear_cache removes them.",
        effect=PLACE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CacheOptions(CachePlaceOptions):
    """How much room images may take that are decoded once and kept."""

    cache_memory: float | None = option(
        None,
        "Memory for decoded images, in GiB at most. Images that need more are "
        "kept in cache_dir. If unset, a quarter of the free memory.",
        least=0,
        effect=FREE,
    )
    cache_disk: float = option(
        50.0,
        "Disk space for decoded images in cache_dir, in GiB at most. Images "
        "that need more, or more than the disk has free, are decoded again "
        "for every chunk of candidates. Files that nobody has used for a day "
        "are removed to make room.",
        least=0,
        effect=FREE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoringOptions(CacheOptions, WeightsOptions, ImageOptions):
    """How paths of a trained supernet are scored."""

    recalibration_images: int | None = option(
        None,
        "Number of training images that batch norm is recalibrated on for "
        "every path; all of them where there are fewer. If unset, as many as "
        "the training of the supernet used in its validations.",
        least=1,
    )
    image_seed: int | None = option(
        None,
        "Seed by which images are drawn, for example those for recalibration; "
        "the value of seed if unset. Searches with different seeds and the "
        "same image_seed share their scores.",
        least=0,
        most=2**32 - 1,
    )
    scored_by: Literal["accuracy", "loss"] = option(
        "accuracy",
        "accuracy: the share of images that are classified correctly. loss: "
        "the mean cross-entropy, where less is better; with few images it "
        "distinguishes networks better.",
    )
    scored_training_images: int = option(
        0,
        "Number of training images to score on in addition to the held-out "
        "ones. More images mean less noise, but the weights have seen these.",
        least=0,
    )
    evaluation_batch_size: int = option(200, "Images of one batch.", least=1)
    scoring: Literal["single", "tree"] = option(
        "single",
        "single: score one path after the other. tree: score the paths of a "
        "generation together and compute what they share once. Scores are the"
        " same.",
        effect=FREE,
    )
    chunk_size: int = option(
        0,
        "Paths that are scored together and then recorded. 0: with "
        "scoring=tree a whole generation; with scoring=single one, or up to "
        "50 where images are decoded again for every chunk (see cache_disk).",
        least=0,
        effect=FREE,
    )
    dtype_policy: DtypePolicy = option(
        "float32",
        "Precision in which paths are scored, whatever they were trained in; "
        "weights and batch-norm statistics are float32.",
    )
    width_mode: Literal["slice", "mask"] = option(
        "slice",
        "How elastic widths are computed. slice: only the channels in use are "
        "computed. mask: all channels are computed and the others set to zero.",
    )

    @property
    def drawn_by(self) -> int:
        """Seed by which images are drawn."""
        return self.seed if self.image_seed is None else self.image_seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerOptions(Options):
    """Who scores paths."""

    workers: Literal["local", "ray"] = option(
        "local",
        "What scores paths. local: this process. ray: processes of Ray, on "
        "this machine or on a cluster, each with as many CPU threads as "
        "threads says (1 if unset); needs the extra 'ray'. The results are "
        "the same.",
        effect=FREE,
    )
    num_workers: int | None = option(
        None,
        "Number of worker processes; 0: as many as there is room for.",
        least=0,
        belongs_to="workers",
        defaults={"ray": 0},
        effect=FREE,
    )
    worker_gpus: float | None = option(
        None,
        "GPUs of one worker; 0.5 lets two workers share a GPU. If unset, one "
        "where there are GPUs.",
        least=0,
        belongs_to="workers",
        defaults={"ray": None},
        effect=FREE,
    )
    ray_address: str | None = option(
        None,
        "Address of a Ray cluster, HOST:PORT or auto. If unset, Ray is "
        "started on this machine. Every machine needs the package, and the "
        "image files or the prepared TFDS set at the same paths.",
        belongs_to="workers",
        defaults={"ray": None},
        effect=FREE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasuringOptions(Options):
    """Whether the best candidates of a search are timed."""

    measure_latency: bool = option(
        False,
        "Measure the latency of the best candidates as whole networks on this"
        " machine.",
        effect=FREE,
    )
    measured_candidates: int = option(
        5,
        "With measure_latency: how many of the best candidates.",
        least=1,
        effect=FREE,
    )
    runtime: Literal["tflite", "onnxruntime", "tensorflow"] = option(
        "tflite", "Library that runs the measured networks.", effect=FREE
    )
    latency_threads: int = option(
        1, "CPU threads of the runtime that measures.", least=1, effect=FREE
    )
    latency_batch: int = option(
        1, "Images in one call of a measured network.", least=1, effect=FREE
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchOptions(MeasuringOptions, WorkerOptions, ScoringOptions):
    """How a trained supernet is searched (paper, Algorithm 1).

    Raises:
        UserError: A value is out of its range, or two contradict each other.

    Example:
        >>> SearchOptions(population=20, generations=5).budget
        100
    """

    strategy: Literal["evolution", "random", "nsga2"] = option(
        "evolution",
        "evolution: the paper's Algorithm 1. random: as many random "
        "candidates. nsga2: searches the front, the best trade-offs between "
        "score and objective; needs the extra 'nsga2'.",
    )
    objective: str | None = option(
        None,
        "Cost that is traded against the score; FILE.py:function names one of "
        "your own.",
        belongs_to="strategy",
        defaults={"nsga2": "macs"},
    )
    population: int = option(50, "Candidates of one generation, P.", least=1)
    generations: int = option(
        20,
        "Generations, T. To continue a search that is over, start it again "
        "with a larger number: the result is the same as with that number "
        "from the beginning.",
        least=1,
        effect=FREE,
    )
    time_limit: str | None = option(
        None,
        "Stop the search after this time, for example 90s, 30m or 1h30m, with "
        "the best that it has found; its winner is confirmed afterwards. Start "
        "it again to continue.",
        effect=FREE,
    )
    top_k: int = option(
        10, "Parents of a generation, k. Evolution only.", least=1
    )
    crossover: int | None = option(
        None,
        "Offspring by crossover in a generation, n; P/2 if unset. Evolution "
        "only.",
        least=0,
    )
    mutation: int | None = option(
        None,
        "Offspring by mutation in a generation, m; P/2 if unset. Evolution "
        "only.",
        least=0,
    )
    mutation_probability: float = option(
        0.1,
        "Probability with which mutation redraws a choice.",
        above=0,
        most=1,
    )
    asynchronous: bool = option(
        False,
        "Propose a new candidate for every result instead of whole "
        "generations, so that no worker waits for the slowest one. Evolution "
        "only. The candidates differ from those without this option. They are "
        "the same for any number of workers.",
    )
    lag: int | None = option(
        None,
        "Largest number of candidates that are scored at once; P/2 if unset. "
        "At least twice the number of workers keeps all of them busy.",
        least=1,
        belongs_to="asynchronous",
        defaults={True: None},
    )

    winner: Literal["score", "additive"] = option(
        "score",
        "Which candidate is the result. score: the one with the best score. "
        "additive: the one that an additive model rates best. The model gives "
        "every option of every choice a value, fitted by least squares to the "
        "scores of all candidates (not in the paper; docs/trust.md). This "
        "option does not change what is evaluated.",
        effect=FREE,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.time_limit is not None:
            seconds_of(self.time_limit)
        if self.num_crossover + self.num_mutation > self.population:
            raise UserError(
                "`crossover` and `mutation` together give at most a "
                f"`population` of {self.population}; got {self.num_crossover} "
                f"+ {self.num_mutation}."
            )
        if not self.asynchronous:
            return
        for name, wanted in (("strategy", "evolution"), ("scoring", "single")):
            if getattr(self, name) != wanted:
                raise UserError(
                    f"`asynchronous` goes with `{name}={wanted}`; got "
                    f"`{name}={getattr(self, name)}`. Leave one of them out."
                )

    @property
    def budget(self) -> int:
        """Evaluations of a whole search."""
        return self.population * self.generations

    @property
    def seconds_allowed(self) -> float:
        """That one start of the search may take; infinite without a limit."""
        if self.time_limit is None:
            return math.inf
        return seconds_of(self.time_limit)

    @property
    def num_crossover(self) -> int:
        """Offspring of two parents a generation, n in the paper."""
        if self.crossover is not None:
            return self.crossover
        if self.mutation is not None:
            return max(self.population - self.mutation, 0)
        return self.population // 2

    @property
    def num_mutation(self) -> int:
        """Mutated copies of one parent a generation, m in the paper.

        Where crossover and mutation are fewer than the population, random
        architectures fill the generation.
        """
        if self.mutation is not None:
            return self.mutation
        return max(self.population - self.num_crossover, 0)

    @property
    def most_under_way(self) -> int:
        """Candidates that an asynchronous search evaluates at once at most."""
        return self.lag or max(1, self.population // 2)

    @property
    def num_random(self) -> int:
        """Candidates that an asynchronous search begins with, all random.

        However few generations there are: with more, it goes on as if they
        had been asked for at once.
        """
        return max(self.population, self.most_under_way)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LimitsTableOptions(Options):
    """Searches under limit after limit, and networks beside them."""

    limits: tuple[str, ...] = option(
        (),
        "Search under this limit, for example 'macs<=290e6', or under several "
        "limits separated by commas. Limits of the other options hold in "
        "every search too. May be repeated, for one search each.",
        repeated=True,
        effect=FREE,
    )
    baseline: tuple[str, ...] = option(
        (),
        "A published network to compare with, by a name that `describe "
        "--list` prints. May be repeated.",
        repeated=True,
        effect=FREE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorrelationOptions(ScoringOptions):
    """How a supernet's ranking is compared with a benchmark's.

    Raises:
        UserError: A value is out of its range, or two contradict each other.

    Example:
        >>> CorrelationOptions(num_architectures=300).resamples
        1000
    """

    num_architectures: int = option(
        500,
        "Architectures to compare, drawn with the seed from those of the "
        "table that are in the space; 0: all of them.",
        least=0,
    )
    without_sample: str | None = option(
        None,
        "SEED:COUNT, for example 0:500. Leave out the architectures that are "
        "drawn with this seed and this num_architectures, so that a method "
        "chosen on one sample is judged on another.",
    )
    supernet_step: tuple[str, ...] = option(
        (),
        "Checkpoints of the supernet, by their training steps: one, several "
        "separated by commas, or all. With several, tau is also shown over "
        "training. If unset, the newest. (Training keeps keep_checkpoints of "
        "them.)",
        effect=FREE,
    )
    scored_images: int = option(
        0,
        "How many of the held-out images an architecture is scored on: about "
        "as many of every class, drawn with the seed; 0: all of them.",
        least=0,
    )
    statistics: Literal["recalibrated", "shared"] = option(
        "recalibrated",
        "What batch norm uses. recalibrated: statistics of each architecture "
        "by itself, as in the search. shared: one set for all, averaged over "
        "shared_paths random paths, as moving averages of the training would "
        "be; this is scoring without recalibration.",
    )
    shared_paths: int = option(
        200,
        "With statistics=shared: number of random paths, each with one "
        "training batch.",
        least=1,
    )
    top_k: tuple[str, ...] = option(
        ("10", "1%", "5%", "10%"),
        "Sizes of the tops to compare, as numbers or percentages: how many of "
        "the table's best N are among the N with the best scores.",
        effect=FREE,
    )
    resamples: int = option(
        1000,
        "Resamples of the bootstrap that gives tau's 95 % interval.",
        least=1,
        effect=FREE,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.other_sample
        if self.statistics == "shared" and self.scoring == "tree":
            raise UserError(
                "`statistics=shared` recalibrates nothing, so there is nothing "
                "that `scoring=tree` could share. Leave one of them out."
            )

    @property
    def other_sample(self) -> tuple[int, int] | None:
        """Seed and size of the sample that is left out.

        Raises:
            UserError: They are no two whole numbers.
        """
        if self.without_sample is None:
            return None
        seed, colon, count = self.without_sample.partition(":")
        whole = all(
            part.isascii() and part.isdecimal() for part in (seed, count)
        )
        if not colon or not whole or not int(count):
            raise UserError(
                "`without_sample` is SEED:COUNT, such as 0:500; got "
                f"{self.without_sample!r}."
            )
        return int(seed), int(count)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableOptions(Options):
    """A benchmark's table."""

    table: str | None = option(
        None, "The benchmark's table, .npz or .csv.", effect=PLACE
    )
    accuracy_column: str | None = option(
        None,
        "Column of the table to compare with. If the name is wrong, the error "
        "lists the columns.",
    )


def seconds_of(text: str) -> float:
    """The seconds of a `time_limit`.

    Args:
        text: Such as `"90s"`, `"30m"`, `"1.5h"` or `"1h30m"`; a bare number
            is of seconds.

    Raises:
        UserError: It is no duration, or not above 0.

    >>> seconds_of("1h30m"), seconds_of("90")
    (5400.0, 90.0)
    """
    found = _PARTS.fullmatch(text.strip())
    numbers = found.groups() if found else ()
    total = sum(
        float(number) * seconds
        for number, seconds in zip(numbers, _SECONDS, strict=False)
        if number is not None
    )
    if not total:
        raise UserError(
            "`time_limit` is a duration above 0, such as 90s, 30m or 1h30m; "
            f"got {text!r}."
        )
    return total
