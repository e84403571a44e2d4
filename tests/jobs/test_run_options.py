"""Which options of a job may change when a run is resumed."""

from spos_tf.jobs.run_folder import RunPlan
from spos_tf.options import CorrelationOptions, SearchOptions, TrainingOptions


def test_options_of_one_name_count_by_the_job_they_belong_to():
    """top_k decides a search, and only reports a correlation."""
    for kind, decides in ((SearchOptions, True), (CorrelationOptions, False)):
        plan = RunPlan.of("tool", "stage", kind())
        assert ("top_k" in plan.result_options) is decides
    training = RunPlan.of("tool", "stage", TrainingOptions(batch_size=8))
    assert training.result_options["batch_size"] == 8
