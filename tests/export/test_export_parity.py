import numpy as np
import pytest

from spos_tf.errors import UserError
from spos_tf.export.formats import FORMATS
from spos_tf.export.parity import ExportMismatch, check, compare

LABELS = np.arange(100) % 10


@pytest.fixture(scope="module")
def logits():
    rng = np.random.default_rng(0)
    return rng.normal(0, 3, (100, 10)).astype(np.float32)


def _exchanged(logits, rows):
    """The two top logits of some rows, exchanged."""
    changed = logits.copy()
    for row in range(rows):
        second, first = np.argsort(changed[row])[-2:]
        changed[row, [first, second]] = changed[row, [second, first]]
    return changed


def test_equal_logits(logits):
    parity = compare(logits, logits, LABELS)
    assert parity.max_abs_difference == 0
    assert parity.top1_agreement == 1
    assert parity.accuracy == (logits.argmax(1) == LABELS).mean()
    for target in FORMATS.values():
        check(parity, target)


def test_tolerance_grows_with_the_logits(logits):
    assert compare(logits / 100, logits / 100, LABELS).tolerance == 1e-4
    largest = np.abs(logits).max()
    parity = compare(logits, logits, LABELS)
    assert parity.tolerance == pytest.approx(1e-4 * largest)


@pytest.mark.parametrize(("part", "passes"), [(0.9, True), (1.1, False)])
def test_largest_difference(logits, part, passes):
    changed = logits.copy()
    changed[7, changed[7].argmax()] += part * 1e-4 * np.abs(logits).max()
    parity = compare(logits, changed, LABELS)
    if passes:
        check(parity, FORMATS["onnx"])
    else:
        with pytest.raises(ExportMismatch, match="allows differences up to"):
            check(parity, FORMATS["onnx"])
    check(parity, FORMATS["tflite_int8"])


def test_near_ties_are_left_out_and_counted():
    reference = np.tile(np.float32([0, 5, 5 - 3e-5, 1]), (4, 1))
    reference[3] = [0, 5, 4, 1]
    changed = reference.copy()
    changed[:3, 2] += 6e-5
    parity = compare(reference, changed, np.array([1, 1, 2, 1]))
    assert parity.near_ties == 3
    assert parity.top1_agreement == 1
    assert parity.accuracy == 0.5
    check(parity, FORMATS["tflite"])


def test_all_ties_show_nothing():
    tied = np.zeros((5, 3), np.float32)
    parity = compare(tied, tied, np.zeros(5, int))
    check(parity, FORMATS["tflite"])
    with pytest.raises(ExportMismatch, match="all 5 images are ties"):
        check(parity, FORMATS["tflite_int8"])
    check(parity, FORMATS["tflite_int8"], 0)


@pytest.mark.parametrize(
    ("name", "rows", "limit", "passes"),
    [
        ("tflite_float16", 1, None, True),
        ("tflite_float16", 2, None, False),
        ("tflite_int8", 5, None, True),
        ("tflite_int8", 6, None, False),
        ("tflite_int8", 6, 0.9, True),
        ("tflite_int8", 11, 0.9, False),
    ],
)
def test_agreement(logits, name, rows, limit, passes):
    parity = compare(logits, _exchanged(logits, rows), LABELS)
    assert parity.top1_agreement == pytest.approx(1 - rows / 100)
    if passes:
        check(parity, FORMATS[name], limit)
    else:
        with pytest.raises(ExportMismatch, match=f"got {100 - rows}.00%"):
            check(parity, FORMATS[name], limit)


def test_limit_does_not_loosen_float32(logits):
    parity = compare(logits, _exchanged(logits, 1), LABELS)
    with pytest.raises(ExportMismatch):
        check(parity, FORMATS["onnx"], 0.5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("source", ["network", "file"])
def test_numbers_that_are_not_finite(logits, value, source):
    broken = logits.copy()
    broken[[3, 4], 1] = value
    pair = (broken, logits) if source == "network" else (logits, broken)
    with pytest.raises(
        ExportMismatch,
        match=f"the {source} gives NaN or infinity for 2 of 100 .* image 3",
    ):
        compare(*pair, LABELS)


def test_other_shapes(logits):
    with pytest.raises(ExportMismatch, match=r"\[100, 10\].*\[100, 9\]"):
        compare(logits, logits[:, 1:], LABELS)


def test_mismatch_is_told_in_one_line(logits):
    assert issubclass(ExportMismatch, UserError)
    parity = compare(logits, _exchanged(logits, 50), LABELS)
    with pytest.raises(ExportMismatch) as caught:
        check(parity, FORMATS["tflite_int8"])
    assert "\n" not in str(caught.value)
    assert "by `min_agreement=tflite_int8=SHARE`." in str(caught.value)
