"""The pool with real processes of Ray's, which need no TensorFlow."""

import collections
import pathlib
import sys

import pytest

from spos_tf.errors import UserError
from spos_tf.evaluation import ray_cluster
from spos_tf.evaluation.measured import Measured
from spos_tf.evaluation.ray_cluster import PoolOptions, connected
from spos_tf.evaluation.ray_pool import Chunk, RayPool, open_pool
from spos_tf.evaluation.ray_worker import Worker

HERE = str(pathlib.Path(__file__).parent)
sys.path.append(HERE)
import ray_judges  # noqa: E402

pytest.importorskip("ray", reason="the extra [ray] is not installed")
# Ray 2.40 leaves its own log files open, and processes to themselves.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
OPTIONS = PoolOptions(workers=2, python_path=(HERE,), environment={"A": "b"})
ENCODINGS = [[i % 4, i // 4] for i in range(12)]


@pytest.fixture(scope="module")
def cluster():
    """Ray on this machine, for all tests here: it takes seconds to start."""
    with connected(OPTIONS) as ray:
        yield ray


@pytest.fixture
def start(cluster, tmp_path):
    """`start("formula")` -> a pool of two workers, and what it said."""
    pools = []

    def make(factory, **arguments):
        said = []
        pool = RayPool(
            cluster, f"ray_judges:{factory}", arguments, OPTIONS, said.append
        )
        pools.append(pool)
        return pool, said

    yield make
    for pool in pools:
        pool.close()


def _all(pool, chunks):
    for chunk in chunks:
        pool.submit(chunk)
    results = []
    while pool.outstanding:
        results.append(pool.take())
    return results


def _chunks(encodings, size=1):
    return [
        Chunk(tuple(range(i, i + size)), encodings[i : i + size])
        for i in range(0, len(encodings), size)
    ]


def _asked(folder):
    return collections.Counter(
        line
        for path in folder.glob("*.log")
        for line in path.read_text().splitlines()
    )


@pytest.mark.parametrize("size", [1, 3])
def test_every_chunk_comes_back_once(start, tmp_path, size):
    pool, said = start("formula", folder=str(tmp_path))
    assert pool.described == {"weights": "w"}
    chunks = _chunks(ENCODINGS, size)
    results = _all(pool, chunks)
    assert sorted(one.chunk for one in results) == sorted(chunks)
    for one in results:
        assert one.scores == [
            Measured(ray_judges.accuracy(encoding), (0.0, encoding[0]))
            for encoding in one.chunk.encodings
        ]
        assert one.seconds > 0 and ":" in one.worker
    assert set(_asked(tmp_path).values()) == {1}
    assert not said
    with pytest.raises(ValueError, match="submitted"):
        pool.take()
    # The same workers go on with what comes later.
    again = _all(pool, chunks)
    assert sorted(one.chunk for one in again) == sorted(chunks)
    assert len(list(tmp_path.glob("*.log"))) <= 2


def test_a_killed_worker_is_replaced_and_its_chunks_scored_again(
    start, tmp_path
):
    pool, said = start("formula", folder=str(tmp_path))
    chunks = _chunks([*ENCODINGS[:6], [9, 9], *ENCODINGS[6:]])
    results = _all(pool, chunks)
    assert sorted(one.chunk for one in results) == sorted(chunks)
    asked = _asked(tmp_path)
    # Nothing twice but what was in flight: that one and the one behind it.
    assert asked["[9, 9]"] == 2
    assert sum(asked.values()) <= len(chunks) + 2
    (line,) = said
    assert "is replaced" in line and "scored again" in line
    assert len(list(tmp_path.glob("*.log"))) <= 3


def test_a_chunk_that_kills_every_worker_is_named(start, tmp_path):
    pool, _ = start("formula", folder=str(tmp_path))
    with pytest.raises(UserError, match=r"3 workers died .*\[\[8, 8\]\]"):
        _all(pool, _chunks([[8, 8]]))
    assert _asked(tmp_path) == {"[8, 8]": 3}


def test_workers_that_die_while_loading_end_the_search(start):
    pool, said = start("dies")
    with pytest.raises(UserError, match="workers died without a result"):
        _ = pool.described
    assert 3 <= len(said) <= 6


def test_what_a_worker_refuses_is_the_users_mistake(start, tmp_path):
    pool, _ = start("formula", folder=str(tmp_path))
    with pytest.raises(UserError, match=r"^Encoding \[7, 7\] is refused\.$"):
        _all(pool, _chunks([[7, 7]]))


def test_what_loading_refuses_is_the_users_mistake(start):
    pool, _ = start("refuses")
    with pytest.raises(UserError, match=r"^There is no supernet 'here'\.$"):
        _ = pool.described


def test_a_workers_bug_keeps_its_traceback(start, tmp_path):
    pool, _ = start("formula", folder=str(tmp_path))
    with pytest.raises(KeyError, match="ray_judges.py"):
        _all(pool, _chunks([[6, 6]]))


def test_workers_have_to_agree(start, tmp_path):
    pool, _ = start("odd", folder=str(tmp_path))
    with pytest.raises(UserError, match="has another weights"):
        _all(pool, _chunks(ENCODINGS * 50))


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(UserError, match=r"extra 'ray'.* -e '\.\[ray\]'"),
        open_pool("ray_judges:formula", {}, OPTIONS, print),
    ):
        pass


@pytest.mark.parametrize(
    ("have", "options", "expected"),
    [
        ({"CPU": 8.0}, {}, (0.0, 8)),
        ({"CPU": 8.0}, {"threads": 3}, (0.0, 2)),
        ({"CPU": 8.0, "GPU": 2.0}, {}, (1.0, 2)),
        ({"CPU": 8.0, "GPU": 2.0}, {"gpus": 0.5}, (0.5, 4)),
        ({"CPU": 3.0, "GPU": 2.0}, {"gpus": 0.5}, (0.5, 3)),
        ({"CPU": 8.0, "GPU": 2.0}, {"gpus": 0.0, "threads": 2}, (0.0, 4)),
        ({"CPU": 8.0}, {"workers": 20}, (0.0, 20)),
    ],
)
def test_workers_fill_the_room(have, options, expected):
    assert ray_cluster.room(have, PoolOptions(**options)) == expected


def test_no_room_is_refused():
    with pytest.raises(UserError, match="takes 16 CPUs and 0 GPUs; Ray has 8"):
        ray_cluster.room({"CPU": 8.0}, PoolOptions(threads=16))


def test_a_worker_is_asked_after_it_loaded():
    worker = Worker("ray_judges:refuses", {}, [HERE], {})
    with pytest.raises(RuntimeError, match="after load"):
        worker.evaluate([[0]])
