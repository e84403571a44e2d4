"""Whether an exported file still says what the network says."""

import dataclasses

import numpy as np

from spos_tf.errors import UserError
from spos_tf.export.formats import DEPLOY_FORM, Format

RELATIVE_TOLERANCE = 1e-4


class ExportMismatch(UserError):
    """An exported file that computes something else than its network."""


@dataclasses.dataclass(frozen=True)
class Parity:
    """How the logits of a file compare with the reference's.

    Attributes:
        max_abs_difference: Over all images and classes.
        top1_agreement: Share of the images with the same top class, near ties
            left out; 1.0 where nothing is left.
        accuracy: Of the file, over all images.
        near_ties: Images whose two top reference logits are closer than
            `tolerance`: rounding alone decides their order.
        num_images: Images compared, near ties included.
        tolerance: 1e-4 x max(1, largest |reference logit|).
    """

    max_abs_difference: float
    top1_agreement: float
    accuracy: float
    near_ties: int
    num_images: int
    tolerance: float


def compare(
    reference: np.ndarray, logits: np.ndarray, labels: np.ndarray
) -> Parity:
    """Compares a file's logits with those of the network it came from.

    Args:
        reference: The network's logits, float32 `[n, classes]`, n >= 1.
        logits: The file's, of the same shape.
        labels: The true classes, int `[n]`.

    Raises:
        ExportMismatch: The shapes differ, or a logit is NaN or infinite.
    """
    if reference.shape != logits.shape or len(labels) != len(reference):
        raise ExportMismatch(
            f"The network gives logits {list(reference.shape)}; the file "
            f"gives {list(logits.shape)}, for {len(labels)} labels."
        )
    for source, values in (("network", reference), ("file", logits)):
        broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(broken):
            raise ExportMismatch(
                f"Logits are finite numbers; the {source} gives NaN or "
                f"infinity for {len(broken)} of {len(values)} images, first "
                f"for image {broken[0]}. Check the network's weights."
            )
    tolerance = RELATIVE_TOLERANCE * max(1.0, float(np.abs(reference).max()))
    clear = _margins(reference) >= tolerance
    top = logits.argmax(axis=1)
    agrees = top[clear] == reference.argmax(axis=1)[clear]
    return Parity(
        max_abs_difference=float(
            np.abs(logits.astype(np.float64) - reference).max()
        ),
        top1_agreement=float(agrees.mean()) if len(agrees) else 1.0,
        accuracy=float((top == labels).mean()),
        near_ties=int((~clear).sum()),
        num_images=len(reference),
        tolerance=tolerance,
    )


def check(
    parity: Parity, target: Format, min_agreement: float | None = None
) -> None:
    """Refuses a file that computes something else than its network.

    Args:
        parity: From `compare`.
        target: The file's format. A float32 format has to agree on every
            image, with differences within the tolerance.
        min_agreement: For the others the least `top1_agreement`; None for
            the format's own. With 0 nothing is asked.

    Raises:
        ExportMismatch: With the value and the limit.
    """
    if target.is_exact:
        if parity.max_abs_difference > parity.tolerance:
            raise ExportMismatch(
                f"Format {target.name!r} allows differences up to "
                f"{parity.tolerance:.3g}; the largest is "
                f"{parity.max_abs_difference:.3g}. Leave the format out of "
                "`formats`, or report a bug."
            )
        least = 1.0
    else:
        least = target.min_agreement if min_agreement is None else min_agreement
        if least > 0 and parity.near_ties == parity.num_images:
            raise ExportMismatch(
                f"Format {target.name!r} is compared by the top class; all "
                f"{parity.num_images} images are ties within "
                f"{parity.tolerance:.3g}. Train the network first."
            )
    if parity.top1_agreement < least:
        raise ExportMismatch(
            f"Format {target.name!r} agrees with the network on the top class "
            f"of at least {least:.2%} of the images; got "
            f"{parity.top1_agreement:.2%} (largest difference "
            f"{parity.max_abs_difference:.3g}). {_advice(target)}"
        )


def _advice(target: Format) -> str:
    if target.is_exact:
        return "Leave the format out of `formats`, or report a bug."
    if target.name == DEPLOY_FORM.name:
        return (
            "Train it further with `deploy_form`, or accept "
            f"the loss by `min_agreement={target.name}=SHARE`."
        )
    return (
        "Train the network longer, or accept the loss by "
        f"`min_agreement={target.name}=SHARE`."
    )


def _margins(logits: np.ndarray) -> np.ndarray:
    """Top logit less the next one, float64 `[n]`."""
    if logits.shape[1] == 1:
        return np.full(len(logits), np.inf)
    second, first = np.partition(logits.astype(np.float64), -2, axis=1)[
        :, -2:
    ].T
    return first - second
