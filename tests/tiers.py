"""Which test belongs to which tier; `conftest.py` marks them so.

- fast (`make test-fast`): no subprocess, no Ray, no kill; what one runs at
  each edit.
- the rest (`make test` runs both): commands in processes of their own, and
  whatever traces many networks.
- slow (`make test-slow`): wheel, kills, several hosts, Ray, golden values.

A path is relative to `tests/`; a folder stands for all files in it.
"""

PROCESS = (
    "tools/",
    "conformance/",
    "export/",
    "jobs/",
    "test_round_trips.py",
    "test_spoilt_files.py",
)

SLOW = (
    "golden/",
    "evaluation/test_ray_pool.py",
    "jobs/test_search_workers.py",
    "jobs/test_whole_jobs.py",
    "jobs/test_search_workers.py",
    "tools/test_killed_runs.py",
    "tools/test_multi_worker.py",
    "tools/test_ray_search.py",
)


def tier_of(path: str) -> str:
    """`"slow"`, `"process"` or `"fast"`.

    Args:
        path: Of a test file, relative to `tests/`.
    """
    if path.startswith(SLOW):
        return "slow"
    return "process" if path.startswith(PROCESS) else "fast"
