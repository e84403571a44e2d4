"""Which options of a job may change when a run is resumed."""

import json
import math

import keras
import pytest

from spos_tf.errors import UserError
from spos_tf.jobs.run_folder import RunPlan, open_run
from spos_tf.jobs.training import objective_words
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


FOCAL = keras.losses.CategoricalFocalCrossentropy
WORDS = [
    ("loss", None, FOCAL(from_logits=True)),
    ("loss", FOCAL(gamma=2.0), FOCAL(gamma=3.0)),
    ("metric", None, keras.metrics.AUC()),
    ("labels", None, "one_hot"),
    ("direction", "max", "min"),
]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("name", "one", "other"), WORDS)
def test_what_no_flag_says_stays_in_a_resumed_run(
    tmp_path, name, one, other, turned
):
    """Also where only the one run or only the other says it."""

    def start(value):
        words = {"loss": None, "metric": None, "labels": None}
        words |= {"direction": "max", name: value}
        options = TrainingOptions(steps=2)
        plan = RunPlan.of(
            "train_subnet", "subnet", options, **objective_words(**words)
        )
        with open_run(tmp_path, "default", plan) as run:
            return run.resumed

    before, after = (other, one) if turned else (one, other)
    assert [start(before), start(before)] == [False, True]
    with pytest.raises(UserError, match=f"other values of `{name}` "):
        start(after)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "reads runs of schema 1; .* has schema 2"),
        ({"schema": None}, "has schema null"),
        ({"inputs": 5}, "is damaged"),
        ({"tool": "search"}, "holds a run of search"),
    ],
)
def test_a_run_of_another_kind_is_left_alone(tmp_path, change, message):
    plan = RunPlan.of("train_subnet", "subnet", TrainingOptions(steps=2))
    with open_run(tmp_path, "default", plan) as run:
        path = run.folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    before = path.read_bytes()
    with (
        pytest.raises(UserError, match=message),
        open_run(tmp_path, "default", plan),
    ):
        pass
    assert path.read_bytes() == before
