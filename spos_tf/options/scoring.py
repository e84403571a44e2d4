"""How paths are scored, searched and compared with a benchmark."""

import dataclasses
from typing import Literal

from spos_tf.errors import UserError
from spos_tf.options.fields import FREE, PLACE, Options, option
from spos_tf.options.training import ImageOptions, WeightsOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoringOptions(WeightsOptions, ImageOptions):
    """How paths of a trained supernet are scored."""

    recalibration_images: int = option(
        20_000,
        "Most training images that batch norm is recalibrated on for every "
        "path; all of them where there are fewer.",
        least=1,
    )
    image_seed: int | None = option(
        None,
        "Seed by which recalibration images and the like are drawn; seed if "
        "unset. Searches with different seeds and one image_seed share their "
        "scores.",
        least=0,
        most=2**32 - 1,
    )
    scored_by: Literal["accuracy", "loss"] = option(
        "accuracy",
        "accuracy: the share of images that are right. loss: the mean "
        "cross-entropy, where less is better; it tells more of few images.",
    )
    scored_training_images: int = option(
        0,
        "Training images that are scored on besides those that the training "
        "held out: more images, less noise, and what the weights have seen.",
        least=0,
    )
    evaluation_batch_size: int = option(200, "Images at once.", least=1)
    scoring: Literal["single", "tree"] = option(
        "single",
        "single: one path after the other. tree: those of a generation "
        "together, what their paths share computed once; scores are the same.",
        effect=FREE,
    )
    chunk_size: int = option(
        0,
        "With scoring=tree: paths that are scored together and then recorded. "
        "0: a whole generation.",
        least=0,
        effect=FREE,
    )
    width_mode: Literal["slice", "mask"] = option(
        "slice",
        "How elastic widths are computed; as in the training of a supernet.",
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
        "Who scores paths. local: this process. ray: processes of Ray's, "
        "here or on a cluster, with the CPU threads of this process each (1 "
        "if unset); record and result are the same. Needs the extra 'ray'.",
        effect=FREE,
    )
    num_workers: int | None = option(
        None,
        "Worker processes; 0: as many as there is room for.",
        least=0,
        belongs_to="workers",
        defaults={"ray": 0},
        effect=FREE,
    )
    worker_gpus: float | None = option(
        None,
        "GPUs of a worker, 0.5 for two workers a GPU; one where there are "
        "GPUs if unset.",
        least=0,
        belongs_to="workers",
        defaults={"ray": None},
        effect=FREE,
    )
    ray_address: str | None = option(
        None,
        "Address of a cluster, HOST:PORT or auto; one is started on this "
        "machine if unset. Every machine needs the package, and image files or "
        "the prepared TFDS set at the same paths.",
        belongs_to="workers",
        defaults={"ray": None},
        effect=FREE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasuringOptions(Options):
    """Whether the best candidates of a search are timed."""

    measure_latency: bool = option(
        False,
        "Measures the final best candidates end to end on this machine.",
        effect=FREE,
    )
    measured_candidates: int = option(
        5,
        "With measure_latency: how many of the best.",
        least=1,
        effect=FREE,
    )
    runtime: Literal["tflite", "onnxruntime", "tensorflow"] = option(
        "tflite", "What runs the networks that are measured.", effect=FREE
    )
    latency_threads: int = option(
        1, "CPU threads of that runtime.", least=1, effect=FREE
    )
    latency_batch: int = option(1, "Images of one call.", least=1, effect=FREE)


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
        "evolution: Algorithm 1. random: as many random candidates. nsga2: "
        "the front of score and objective; needs the extra 'nsga2'.",
    )
    objective: str | None = option(
        None,
        "Cost of the front; one of your own is FILE.py:function.",
        belongs_to="strategy",
        defaults={"nsga2": "macs"},
    )
    population: int = option(50, "Candidates a generation, P.", least=1)
    generations: int = option(20, "Generations, T.", least=1)
    top_k: int = option(
        10, "Parents of a generation, k; evolution only.", least=1
    )
    crossover: int | None = option(
        None,
        "Offspring by crossover, n; P/2 if unset. Evolution only.",
        least=0,
    )
    mutation: int | None = option(
        None, "Offspring by mutation, m; P/2 if unset. Evolution only.", least=0
    )
    mutation_probability: float = option(
        0.1, "That a choice is redrawn in mutation.", above=0, most=1
    )
    asynchronous: bool = option(
        False,
        "A new candidate for every result instead of whole generations, so "
        "that no worker waits for the slowest of one; evolution only. Other "
        "candidates than without, the same for any number of workers.",
    )
    lag: int | None = option(
        None,
        "Candidates that may be under way at once, P/2 if unset. At least "
        "twice the workers keeps all of them busy.",
        least=1,
        belongs_to="asynchronous",
        defaults={True: None},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
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
        """Candidates that an asynchronous search begins with, all random."""
        return min(max(self.population, self.most_under_way), self.budget)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LimitsTableOptions(Options):
    """Searches under limit after limit, and networks beside them."""

    limits: tuple[str, ...] = option(
        (),
        "Repeatable; a search under this limit, for example 'macs<=290e6', or "
        "under several with a comma between them; besides the limits that "
        "hold in every search.",
        repeated=True,
        effect=FREE,
    )
    baseline: tuple[str, ...] = option(
        (),
        "Repeatable; a published network that `describe --list` prints.",
        repeated=True,
        effect=FREE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorrelationOptions(ScoringOptions):
    """How a supernet's ranking is compared with a benchmark's."""

    num_architectures: int = option(
        500,
        "Architectures to compare, drawn with the seed from those of the "
        "table that are in the space; 0: all of them.",
        least=0,
    )
    without_sample: str | None = option(
        None,
        "SEED:COUNT, for example 0:500: architectures of this other sample "
        "are left out, so that what is chosen by one is judged by the other.",
    )
    supernet_step: tuple[str, ...] = option(
        (),
        "Checkpoints of the supernet, by training steps: one, several with "
        "commas between them, or all. Several also give tau over training. If "
        "unset, the newest. (Training keeps keep_checkpoints of them.)",
        effect=FREE,
    )
    scored_images: int = option(
        0,
        "Held-out images that an architecture is scored on, as many of every "
        "class as can be, drawn with the seed; 0: all of them.",
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
        "With statistics=shared: random paths, a training batch each.",
        least=1,
    )
    top_k: tuple[str, ...] = option(
        ("10", "1%", "5%", "10%"),
        "How many of the table's best are looked for among as many with the "
        "best scores; numbers or percentages.",
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
                "`scoring=tree` shares recalibration, of which "
                "`statistics=shared` has none. Leave one of them out."
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
        "Column of the table to compare with; a wrong one lists those there "
        "are.",
    )
