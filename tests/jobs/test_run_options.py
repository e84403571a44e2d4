"""Which options of a job may change when a run is resumed."""

import math

import pytest

from spos_tf.errors import UserError
from spos_tf.jobs.run_folder import RunPlan
from spos_tf.options import CorrelationOptions, SearchOptions, TrainingOptions


def test_options_of_one_name_count_by_the_job_they_belong_to():
    """top_k decides a search, and only reports a correlation."""
    for kind, decides in ((SearchOptions, True), (CorrelationOptions, False)):
        plan = RunPlan.of("tool", "stage", kind())
        assert ("top_k" in plan.result_options) is decides
    training = RunPlan.of("tool", "stage", TrainingOptions(batch_size=8))
    assert training.result_options["batch_size"] == 8


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("90", 90),
        ("1h2m3s", 3723),
        (None, math.inf),
    ],
)
def test_durations(text, seconds):
    assert SearchOptions(time_limit=text).seconds_allowed == seconds


@pytest.mark.parametrize("text", ["", "m", "-5m", "30 minutes", "0s", "5m1h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UserError, match="`time_limit` is a duration above 0"):
        SearchOptions(time_limit=text)
