"""Progress for TensorBoard: what it costs to report it."""

import tracemalloc

from spos_tf.training.reporting import TrainingReporter


def test_nothing_of_a_report_is_kept(tmp_path):
    with TrainingReporter(
        tmp_path, start_step=0, steps=10_000_000, title="test"
    ) as reporter:

        def report(first, count):
            for step in range(first, first + count):
                reporter.validation(step, {"loss": step / 7, "f": 1 / step})

        # What is kept once and for all.
        report(1_000, 50)
        tracemalloc.start()
        report(2_000_000, 400)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # Three of Python's numbers a report take 76 bytes, their tensors as much
    # again; some 8,000 bytes are held whatever the number of reports.
    assert kept < 40 * 400
