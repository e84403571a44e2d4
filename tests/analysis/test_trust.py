"""What the figures of a search say in words."""

import json

import pytest

from spos_tf.analysis.reliability import Confirmed, Reliability, Spread
from spos_tf.analysis.trust import Trust, guessing_line, repeatability
from spos_tf.options.training import USUAL_IMAGES_PER_OPTION

SPREAD = Spread(0.2231, 0.0066, 0.0109, 0.006)
USUAL = f"{USUAL_IMAGES_PER_OPTION:,} are usual"


@pytest.mark.parametrize(
    ("value", "seen", "says", "advises"),
    [
        (0.26, 4000, "cannot tell these networks apart", True),
        (0.0, 4000, "cannot tell these networks apart", True),
        (0.499, None, "cannot tell these networks apart", False),
        (0.5, 4000, "apart only roughly", True),
        (0.79, USUAL_IMAGES_PER_OPTION, "apart only roughly", False),
        (0.8, 4000, "are repeatable", False),
    ],
)
def test_levels_and_advice(value, seen, says, advises):
    text = repeatability(
        Reliability(value, 0.0, 0.9, 50), images=500, seen=seen
    )
    assert says in text and f"reliability {value:.2f}, " in text
    assert "95 % interval 0.00 to 0.90, 50 random networks" in text
    assert (USUAL in text) == advises
    assert ("each option has seen 4,000 images" in text) == advises
    # What has no reliability has none on more images either.
    assert ("images to score on" in text) == (0 < value < 0.8)


def test_few_networks_make_no_certainty():
    few, wide, narrow = (
        repeatability(Reliability(0.97, low, 1.0, count), images=9, seen=None)
        for low, count in ((0.6, 9), (0.0, 10), (0.6, 10))
    )
    assert few.startswith("It cannot be said yet how well the scores repeat")
    assert "at least 10 random networks" in few and "0.97" in few
    assert "are repeatable" in wide and "are repeatable" in narrow
    assert "may as well be below 0.5; more random networks" in wide
    assert "may as well" not in narrow


@pytest.mark.parametrize(
    ("mean", "chance", "guesses"),
    [
        # Two classes, ten, a thousand.
        (0.54, 0.5, True),
        (0.56, 0.5, False),
        (0.14, 0.1, True),
        (0.16, 0.1, False),
        (0.0014, 0.001, True),
        (0.0016, 0.001, False),
        (0.0014, None, False),
    ],
)
def test_a_supernet_that_guesses_is_told(mean, chance, guesses):
    lines = _trust(scores=SPREAD._replace(mean=mean), chance=chance).lines
    assert ("still close to guessing: train it longer." in lines[1]) == guesses
    # A training says it of its validation.
    said = guessing_line("accuracy", mean, chance)
    assert said.endswith("close to guessing: train it longer.") == guesses
    assert bool(said) == guesses


def test_what_is_not_known_is_said_so():
    text = repeatability(
        Reliability(None, None, None, 3), images=500, seen=None
    )
    assert "is not known" in text
    text = repeatability(
        Reliability(0.0, None, None, 30), images=500, seen=None
    )
    assert "(reliability 0.00, 30 random networks)" in text


def _trust(**changes):
    given = {
        "metric": "accuracy",
        "scores": SPREAD,
        "found": Reliability(0.26, 0.0, 0.52, 60),
        "images": 2000,
        "chance": 0.2,
        "seen": 4000,
    }
    return Trust.of(**{**given, **changes})


def test_the_file_has_the_contracts_fields():
    confirmed = Confirmed(0.25, 0.22, 0.03, -0.01, 0.07)
    data = _trust(confirmed=confirmed).to_dict()
    assert json.loads(json.dumps(data)) == {
        "chance": 0.2,
        "mean": 0.2231,
        "spread": 0.0066,
        "standard_error": 0.0109,
        "reliability": {
            "value": 0.26,
            "low": 0.0,
            "high": 0.52,
            "candidates": 60,
        },
        "confirmed": {
            "winner": 0.25,
            "random_mean": 0.22,
            "difference": 0.03,
            "low": -0.01,
            "high": 0.07,
        },
    }
    assert _trust().to_dict()["confirmed"] is None


def test_lines_of_an_accuracy():
    confirmed = Confirmed(0.25, 0.22, 0.03, -0.01, 0.07)
    lines = _trust(confirmed=confirmed).lines
    assert lines[1] == (
        "Random networks score 22.31 % on average, where chance is 20.00 %, "
        "and spread by 0.66 points; networks of equal quality would spread "
        "by 0.60 points. One score has a standard error of 1.09 points. The "
        "supernet is still close to guessing: train it longer."
    )
    assert "25.00 % and random networks" in lines[2]
    assert "22.00 %: 3.00 points better (95 % interval" in lines[2]
    assert "-1.00 points to 7.00 points). This may be luck." in lines[2]
    assert "not how well they predict" in lines[3]


def test_lines_of_another_metric():
    lines = _trust(
        metric="loss",
        scores=Spread(1.5, 0.25, 0.1, None),
        chance=None,
        confirmed=Confirmed(1.25, 1.5, 0.25, 0.125, 0.5),
    ).lines
    assert lines[1] == (
        "Random networks score 1.5 on average, and spread by 0.25. One score "
        "has a standard error of 0.1."
    )
    assert "0.25 better" in lines[2] and "luck" not in lines[2]
    worse = _trust(confirmed=Confirmed(0.2, 0.22, -0.02, None, None)).lines
    assert worse[2].endswith("22.00 %: 2.00 points worse.")
    none = _trust(unconfirmed="The winner is not confirmed.").lines
    assert none[2] == "The winner is not confirmed."
