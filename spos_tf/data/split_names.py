"""Which images of a data set are trained on and which are tested on."""

import dataclasses
from collections.abc import Container

from spos_tf.data.examples import NoTestImages
from spos_tf.errors import UserError

# What sets call their test split, in the order in which one is chosen.
_TESTS = ("test", "validation", "val")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitNames:
    """How a data set is split.

    Attributes:
        train: Name of the training split, as the set calls it; None for
            "train".
        test: Name of the test split; None for the first of `tests` that
            there is.
        test_fraction: Share of the training split that is test, where there
            is no test split; None for none.
        tests: What a test split may be called.
        strict: Whether there have to be test images, and whether a fault of
            the data is an error.

    Raises:
        UserError: The fraction is out of its range, or contradicts `test`.
    """

    train: str | None = None
    test: str | None = None
    test_fraction: float | None = None
    tests: tuple[str, ...] = _TESTS
    strict: bool = True

    @property
    def need_fraction(self) -> bool:
        """Whether nobody said which images of a single split are test."""
        return self.strict and not self.test_fraction

    def __post_init__(self) -> None:
        fraction = self.test_fraction or 0.0
        if not 0.0 <= fraction < 1.0:
            raise UserError(
                f"`test_fraction` is in [0, 1); got {fraction}. Give for "
                "example 0.2."
            )
        if fraction and self.test is not None:
            refuse_test_fraction(self, "`test_split`", repr(self.test))

    def first_test(self, present: Container[str]) -> str | None:
        """The test split of a set that has the splits `present`."""
        return next((name for name in self.tests if name in present), None)


def refuse_test_fraction(names: SplitNames, where: str, test: str) -> None:
    """Refuses a test fraction of what has a test split.

    Args:
        names: What was asked for.
        where: What has it, as messages call it.
        test: The test split, as messages call it.

    Raises:
        UserError: A fraction was asked for.
    """
    if names.test_fraction:
        raise UserError(
            "`test_fraction` takes test images from the training images of a "
            f"data set without a test split; got {names.test_fraction}, and "
            f"{where} has {test}. Leave it out."
        )


def no_test_images(reason: str) -> NoTestImages:
    """The error of a data set that nobody said how to split."""
    return NoTestImages(
        f"A data set needs test images; {reason}. Give for example "
        "`test_fraction=0.2`, or name the split with `test_split`."
    )
