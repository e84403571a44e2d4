"""Progress for TensorBoard: what it costs to report it."""

import tracemalloc

from spos_tf.training.reporting import TrainingReporter


def test_no_number_of_a_report_is_kept(tmp_path):
    with TrainingReporter(
        tmp_path, start_step=0, steps=10_000_000, title="test"
    ) as reporter:
        tracemalloc.start()
        for step in range(1_000_000, 1_000_200):
            reporter.validation(step, {"loss": step / 7, "f": 1 / step})
        here = tracemalloc.Filter(True, __file__)
        kept = tracemalloc.take_snapshot().filter_traces([here]).traces
        tracemalloc.stop()
    # Of 600 numbers; besides them there are the loop's own objects.
    assert len(kept) < 20
