"""The whole job from Python, as users' scripts have it."""

import pytest

import whole_jobs


@pytest.mark.parametrize("job", whole_jobs.ALL, ids=lambda job: job.__name__)
def test_the_whole_job(job, tmp_path):
    job(tmp_path)
