r"""Searches a trained supernet under hard limits (paper, Algorithm 1).

Example:
  python tools/search.py --work_dir=runs/cifar10 --name=evolution \
      --dataset=cifar10 --data_dir=DIR --max_macs=9.2e6

Reads work_dir/supernet/<supernet_name>/ and writes work_dir/search/<name>/:
record.jsonl (every evaluation, at once), best.json, search.png, search.flags
and scored_with.json (which weights and images); with --strategy=nsga2 also
front.json and front.png. Start it again to go on where it stopped. Scores are
shared with other searches of the same supernet in work_dir/search/scores.jsonl.
"""

import program
import run_folder

import ray_workers
import search_judge
import search_run

search_run.define_search()


def main() -> None:
    """Searches and writes what it found."""
    ray_workers.settle()
    with run_folder.open_run(
        "search", "search", free=search_run.FREE
    ) as folder:
        subject = search_run.read_subject()
        plan = search_run.plan(subject.blueprint)
        with search_judge.open_judge(subject.trained) as judge:
            search_run.search(folder, subject.blueprint, plan, judge)


if __name__ == "__main__":
    program.run(main)
