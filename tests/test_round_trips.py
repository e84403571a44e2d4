"""What is written reads back equal: 100 values of every kind of file.

Architecture files are in tests/space/test_architecture.py.
"""

import json

import hypothesis
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from spos_tf.analysis.benchmark_table import read_table
from spos_tf.analysis.score_file import Scored, ScoreFile
from spos_tf.cost.latency import read_latency_table
from spos_tf.cost.latency_entries import LatencyEntry, MeasuredTable
from spos_tf.evaluation.measured import Measured
from spos_tf.evaluation.memo import ScoreMemo
from spos_tf.jobs.latency import _Partial
from spos_tf.plain_arrays import read_arrays
from spos_tf.report.event_scalars import read_scalars
from spos_tf.space import Architecture
from spos_tf.space.candidate import Candidate
from spos_tf.space.record import Record, read_record, write_best
from spos_tf.strict_json import parse_json
from spos_tf.training.checkpoints import (
    Checkpoint,
    checkpoint_path,
    read_checkpoint,
    write_checkpoint,
)

# What tests/conftest.py settles beside: no deadline, the same cases always.
HUNDRED = hypothesis.settings(
    max_examples=100,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# JSON has no half characters.
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SHARES = st.floats(0, 1)
WHOLE = st.integers(0, 2**62)
INDEXES = st.lists(st.integers(0, 9), max_size=4).map(tuple)
OPTIONS = (
    TEXT | NUMBERS | st.tuples(st.integers(0, 9), st.integers(0, 9)) | WHOLE
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | NUMBERS
    | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
    ),
    max_leaves=8,
)
CANDIDATES = st.builds(
    Candidate,
    i=WHOLE,
    generation=WHOLE,
    encoding=INDEXES,
    choices=st.dictionaries(TEXT, OPTIONS, max_size=3),
    costs=st.dictionaries(TEXT, WHOLE | NUMBERS, max_size=3),
    score=SHARES,
    metric=st.just("accuracy"),
    direction=st.just("max"),
    seconds=NUMBERS,
    worker=TEXT,
    time=NUMBERS,
    halves=st.tuples(SHARES, SHARES) | st.just(()),
)


@hypothesis.given(JSON)
@HUNDRED
def test_json(value):
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        again = parse_json(text.encode())
        assert json.dumps(again) == json.dumps(value)


def test_a_record_and_its_best(tmp_path):
    path = tmp_path / "record.jsonl"

    @hypothesis.given(
        st.lists(CANDIDATES, unique_by=lambda one: one.i, max_size=3), TEXT
    )
    @HUNDRED
    def run(candidates, space):
        path.unlink(missing_ok=True)
        record = Record.open(path)
        for one in candidates:
            record.append(one)
        path.touch()
        ordered = sorted(candidates, key=lambda one: one.i)
        assert read_record(path) == ordered
        assert Record.open(path).candidates == ordered
        for one in candidates[:1]:
            architecture = Architecture(space, {}, one.choices)
            write_best(tmp_path / "best.json", architecture, one)
            assert Architecture.read(tmp_path / "best.json") == architecture

    run()


def test_a_memory_of_scores(tmp_path):
    path = tmp_path / "scores.jsonl"

    @hypothesis.given(st.dictionaries(INDEXES, SHARES, max_size=4), TEXT)
    @HUNDRED
    def run(scores, part):
        path.unlink(missing_ok=True)
        memo = ScoreMemo(path, "accuracy", part)
        other = ScoreMemo(path, "accuracy", part, "other")
        for encoding, score in scores.items():
            memo.put(encoding, Measured(score, (score, 1 - score)))
            other.put(encoding, Measured(1 - score))
        again = ScoreMemo(path, "accuracy", part)
        assert {key: again.get(key) for key in scores} == {
            key: Measured(score, (score, 1 - score))
            for key, score in scores.items()
        }

    run()


def test_scores_of_a_comparison(tmp_path):
    path = tmp_path / "scores.jsonl"
    scored = st.builds(
        Scored,
        step=WHOLE,
        encoding=INDEXES,
        architecture=TEXT,
        score=SHARES,
        accuracy=NUMBERS,
        seconds=NUMBERS,
        halves=st.tuples(SHARES, SHARES) | st.just(()),
    )

    @hypothesis.given(
        st.lists(scored, unique_by=lambda o: (o.step, o.encoding), max_size=3)
    )
    @HUNDRED
    def run(scores):
        path.unlink(missing_ok=True)
        file = ScoreFile(path)
        for one in scores:
            file.append(one)
        again = ScoreFile(path)
        assert len(again) == len(scores)
        assert [again.get(o.step, o.encoding) for o in scores] == scores

    run()


def test_a_checkpoint(tmp_path):
    arrays = np_st.arrays(
        np_st.scalar_dtypes().filter(lambda dtype: dtype.kind in "biuf"),
        np_st.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    )
    names = st.from_regex(r"\A[a-z0-9/._]{1,8}\Z")

    @hypothesis.given(
        st.integers(0, 10**7),
        st.dictionaries(names, arrays, max_size=3),
        st.fixed_dictionaries(
            {"kind": TEXT, "space_arguments": st.dictionaries(TEXT, JSON)}
        ),
    )
    @HUNDRED
    def run(step, arrays, description):
        written = Checkpoint(step, description, arrays)
        write_checkpoint(tmp_path, written, keep=1)
        found = read_checkpoint(checkpoint_path(tmp_path, step))
        checkpoint_path(tmp_path, step).unlink()
        assert (found.step, found.description) == (step, description)
        assert set(found.arrays) == set(arrays)
        for name, array in arrays.items():
            assert found.arrays[name].dtype == array.dtype
            assert found.arrays[name].shape == array.shape
            # Bit for bit: NaN too.
            assert found.arrays[name].tobytes() == array.tobytes()

    run()


def test_a_latency_table(tmp_path):
    path = tmp_path / "latency.yaml"
    shapes = st.lists(st.integers(1, 999), min_size=1, max_size=3).map(tuple)
    # The file has six digits.
    times = st.integers(0, 10**9).map(lambda number: number / 10**6)
    entries = st.builds(
        LatencyEntry,
        slots=st.lists(TEXT, max_size=2).map(tuple),
        choices=st.dictionaries(TEXT, OPTIONS, max_size=2),
        input_shape=shapes,
        output_shape=shapes,
        macs=WHOLE,
        median_ms=times,
        low_ms=times,
        high_ms=times,
        repeats=st.integers(1, 99),
    )

    @hypothesis.given(
        # A slot stands in one entry.
        st.lists(entries, max_size=2).filter(
            lambda some: (
                len({s for e in some for s in e.slots})
                == sum(len(e.slots) for e in some)
            )
        ),
        TEXT,
        st.dictionaries(TEXT, TEXT | WHOLE, max_size=2),
    )
    @HUNDRED
    def run(entries, text, machine):
        table = MeasuredTable(
            search_space=text,
            space_arguments={"preset": text},
            machine=machine,
            runtime=text,
            threads=1,
            batch=2,
            overhead_ms=-0.5,
            entries=tuple(entries),
            source=repr(str(path)),
        )
        table.write(path)
        assert read_latency_table(path) == table

    run()


def test_a_benchmark_table(tmp_path):
    rows = st.lists(
        st.tuples(st.text("0123,|~ab", min_size=1, max_size=9), NUMBERS),
        min_size=1,
        max_size=4,
    )

    @hypothesis.given(rows)
    @HUNDRED
    def run(rows):
        texts = [text.strip() or "x" for text, _ in rows]
        numbers = np.array([number for _, number in rows])
        np.savez(tmp_path / "t.npz", arch_str=np.array(texts), test=numbers)
        lines = [
            f'"{text}",{number!r}\n'
            for text, number in zip(texts, numbers.tolist(), strict=True)
        ]
        (tmp_path / "t.csv").write_text("".join(["arch,test\n", *lines]))
        for name in ("t.npz", "t.csv"):
            table = read_table(tmp_path / name)
            assert list(table.architectures) == texts
            assert table.numbers("test").tolist() == numbers.tolist()
        found = read_arrays(tmp_path / "t.npz")
        assert found["test"].tobytes() == numbers.tobytes()

    run()


def test_what_a_latency_table_was_measured_with_so_far(tmp_path):
    path = tmp_path / "partial.json"
    samples = st.lists(st.floats(0, 1e6), min_size=1, max_size=3)

    @hypothesis.given(
        st.dictionaries(TEXT, st.integers(0, 9) | TEXT, max_size=2),
        st.lists(st.dictionaries(TEXT, samples, max_size=3), max_size=3),
    )
    @HUNDRED
    def run(settings, passes):
        path.unlink(missing_ok=True)
        partial = _Partial(path, settings)
        for index, one in enumerate(passes):
            partial.add(index, one)
        again = _Partial(path, settings)
        assert again.passes == passes
        for index, one in enumerate(passes):
            assert all(again.has(index, key) for key in one)

    run()


def test_events(tmp_path):
    from tensorboard.compat.proto import event_pb2
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    @hypothesis.given(
        st.dictionaries(
            st.integers(0, 2**40), st.floats(width=32, allow_nan=False)
        )
    )
    @HUNDRED
    def run(series):
        for old in tmp_path.iterdir():
            old.unlink()
        writer = EventFileWriter(str(tmp_path))
        for step, value in series.items():
            event = event_pb2.Event(step=step)
            event.summary.value.add(tag="loss", simple_value=value)
            writer.add_event(event)
        writer.close()
        problems = []
        finite = {k: v for k, v in series.items() if np.isfinite(v)}
        found = read_scalars(tmp_path, problems)
        assert found == ({"loss": finite} if finite else {})
        assert problems == []

    run()
