"""The formats a network can leave in, by the names that flags use."""

import dataclasses
from collections.abc import Iterable, Sequence

from spos_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of exported networks.

    Attributes:
        name: In flags and in the manifest.
        file_name: Of the file or folder within an export folder.
        min_agreement: Share of the images whose top class has to be the
            reference's, unless a caller asks for another.
        is_exact: Whether it computes with float32 weights, so that its logits
            have to be the reference's up to rounding.
        weight_bits: Bits that low-bit weights can be stored in, the usual
            ones first; empty for formats that store none of them.
        is_deploy_form: Whether the reference is the network's deploy form.
    """

    name: str
    file_name: str
    min_agreement: float = 1.0
    is_exact: bool = True
    weight_bits: tuple[int, ...] = ()
    is_deploy_form: bool = False

    def for_low_bits(self) -> "Format":
        """The format as it is for networks that round features.

        A difference in the last place then is one of a whole level, now and
        then, and the logits of that image are others.
        """
        if not self.is_exact:
            return self
        return dataclasses.replace(self, min_agreement=0.999, is_exact=False)


# No file, but what two of them are compared with; compared itself with the
# network.
DEPLOY_FORM = Format("deploy_form", "", 0.99, False)
FORMATS = {
    known.name: known
    for known in (
        Format("saved_model", "saved_model"),
        Format("tflite", "model.tflite"),
        Format("tflite_float16", "model_float16.tflite", 0.99, False),
        Format("tflite_int8", "model_int8.tflite", 0.95, False),
        Format("onnx", "model.onnx"),
        Format(
            "tflite_lowbit", "model_lowbit.tflite", 0.999, False, (8,), True
        ),
        Format("onnx_qdq", "model_qdq.onnx", 0.999, False, (4, 8)),
        Format("onnx_deploy", "model_deploy.onnx", 0.999, False, (8,), True),
    )
}


def find_format(name: str) -> Format:
    """The format of that name.

    Raises:
        UserError: There is none.
    """
    if name not in FORMATS:
        raise UserError(
            f"Unknown export format {name!r}. "
            f"The formats are: {', '.join(FORMATS)}."
        )
    return FORMATS[name]


def check_formats(
    names: Iterable[str], *, space: str, allowed: Sequence[str]
) -> tuple[Format, ...]:
    """The formats of those names, each once, in the order given.

    Args:
        names: Keys of `FORMATS`.
        space: Name of the search space, for the message.
        allowed: `Blueprint.export_formats` of that space.

    Raises:
        UserError: There is no such format, or the space's networks cannot be
            exported to it, or none was named.
    """
    found = tuple(find_format(name) for name in dict.fromkeys(names))
    if not found:
        raise UserError(
            "An export names at least one format; got none. "
            f"The formats are: {', '.join(allowed)}."
        )
    for one in found:
        if one.name not in allowed:
            raise UserError(
                f"Networks of space {space!r} cannot be exported to "
                f"{one.name!r}. Their formats are: {', '.join(allowed)}."
            )
    return found


def check_weight_bits(targets: Iterable[Format], bits: int | None) -> None:
    """Refuses to store weights as no format of those can.

    Args:
        targets: Formats that are written.
        bits: That are asked for; None asks for nothing.

    Raises:
        UserError: A format stores low-bit weights in other bits only, or none
            stores any.
    """
    if bits is None:
        return
    storing = [one for one in targets if one.weight_bits]
    if not storing:
        raise UserError(
            "Weights are stored in few bits by tflite_lowbit, onnx_qdq and "
            f"onnx_deploy; none of them is among the formats, but {bits} "
            "stored bits were asked for."
        )
    for one in storing:
        if bits not in one.weight_bits:
            possible = " or ".join(map(str, one.weight_bits))
            raise UserError(
                f"Format {one.name!r} stores weights in {possible} bits; got "
                f"{bits}. What a weight can be is up to the network's bits, "
                "whatever it is stored in: leave --stored_weight_bits out."
            )
