r"""Searches one trained supernet under several limits (paper, Table 5).

Example:
  python tools/search_limits.py \
      --flagfile=saved_configs/search_limits/imagenet.flags --data_dir=DIR

Weights and images are loaded once. Every --limits is a search of its own in
work_dir/search/<name>-<limit>/, as tools/search.py would leave it; start it
again to go on where it stopped. work_dir/search_limits/<name>/table.md and
table.json put the winners beside the networks of --baseline. Networks that
tools/train_subnet.py trained under the same names show their test accuracy.
"""

import contextlib
import json
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import limits
import program
import run_folder
from absl import flags, logging

import ray_workers
import search_judge
import search_run
from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError
from spos_tf.strict_json import parse_json

if TYPE_CHECKING:
    from spos_tf.networks.blueprint import Blueprint

FLAGS = flags.FLAGS

search_run.define_search()
flags.DEFINE_multi_string(
    "limits",
    [],
    "Repeatable; a search under this limit, for example 'macs<=290e6', or "
    "under several with a comma between them; besides --constraint and "
    "--max_macs and the like, which hold in every search.",
)
flags.DEFINE_multi_string(
    "baseline",
    [],
    "Repeatable; a published network that describe.py --list prints.",
)

# What the table, not a search, is made of.
_OWN = ("limits", "baseline")
_TITLES = {
    "macs": "MACs",
    "params": "params",
    "latency_ms": "latency [ms]",
}

Row = dict[str, Any]


def _search_name(limit: str) -> str:
    """A folder's name for a limit.

    >>> _search_name("macs<=290e6")
    'default-macs_max_290e6'
    """
    # Of a cost of the user's own the function's name says enough.
    short = re.sub(r"[^\s,<>=]*\.py:", "", limit)
    for sign, word in (("<=", "_max_"), (">=", "_min_"), (",", "_and_")):
        short = short.replace(sign, word)
    return f"{FLAGS.name}-{re.sub(r'[^A-Za-z0-9_.+-]', '', short)}"


def _names() -> dict[str, str]:
    """Limits by the folders' names.

    Raises:
        UserError: There is none, or two are alike.
    """
    if not FLAGS.limits:
        raise UserError(
            "Give at least one limit to search under, such as "
            "--limits='macs<=290e6'."
        )
    from spos_tf.cost.constraint import parse_constraint

    names: dict[str, str] = {}
    meanings: dict[frozenset[limits.Limit], str] = {}
    for limit in FLAGS.limits:
        meaning = frozenset(map(parse_constraint, limit.split(",")))
        name = _search_name(limit)
        before = meanings.get(meaning, names.get(name))
        if before is not None:
            raise UserError(
                f"Every --limits is a search of its own; {limit!r} and "
                f"{before!r} are the same. Leave one out."
            )
        names[name] = meanings[meaning] = limit
    return names


@contextlib.contextmanager
def _flags_of(name: str, limit: str) -> Iterator[None]:
    """The flags as tools/search.py would have them for one limit."""
    changed = {
        "name": name,
        "constraint": [*FLAGS.constraint, *limit.split(",")],
        **{own: [] for own in _OWN},
    }
    before = {flag: FLAGS[flag].value for flag in changed}
    try:
        for flag, value in changed.items():
            FLAGS[flag].value = value
        yield
    finally:
        for flag, value in before.items():
            FLAGS[flag].value = value


def _test_accuracy(name: str, encoding: list[int] | None) -> float | None:
    """Of the retrained network of this name, None if there is none."""
    path = pathlib.Path(FLAGS.work_dir) / "subnet" / name / "metrics.json"
    try:
        metrics = parse_json(path.read_bytes())
        trained, accuracy = metrics["encoding"], metrics["test_accuracy"]
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):
        logging.warning("%s cannot be read; it is left out.", path)
        return None
    if trained != encoding:
        logging.warning("%s is of another network; it is left out.", path)
        return None
    return float(accuracy)


def _baseline(name: str, blueprint: "Blueprint") -> Row:
    """A named network at the image size and classes of the supernet."""
    from spos_tf.spaces import named_network

    theirs, encoding = named_network(
        name,
        image_size=blueprint.image_size,
        num_classes=blueprint.num_classes,
    )
    # Only its own parts are looked up then.
    one = theirs.pinned(theirs.search_space.decode(encoding))
    costs = limits.known_costs(one, latency=False)
    if FLAGS.latency_table:
        try:
            costs["latency_ms"] = limits.latency_cost(one)
        except UserError as error:
            logging.warning("%s has no latency here: %s", name, error)
    # Baselines of uniform bits are nothing that was chosen.
    shown = encoding.tolist() if theirs.search_space.has_choices else None
    return {
        "limit": None,
        "name": name,
        "search_space": theirs.search_space.name,
        "encoding": shown,
        "costs": {
            cost: function(encoding[None]).tolist()[0]
            for cost, function in costs.items()
        },
        "accuracy": None,
        "test_accuracy": _test_accuracy(name, shown),
    }


def _markdown(rows: Sequence[Row]) -> str:
    costs = list(dict.fromkeys(name for row in rows for name in row["costs"]))
    lines = [
        [
            "limit or baseline",
            *(_TITLES.get(cost, cost) for cost in costs),
            "supernet accuracy",
            "test accuracy",
            "encoding",
        ]
    ]
    lines.append(["---", *["---:"] * (len(costs) + 2), "---"])
    for row in rows:
        lines.append(
            [
                f"`{row['limit'] or row['name']}`",
                *(_number(row["costs"], cost) for cost in costs),
                _percent(row["accuracy"]),
                _percent(row["test_accuracy"]),
                ",".join(map(str, row["encoding"] or ["-"])),
            ]
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _number(costs: Mapping[str, int | float], name: str) -> str:
    value = costs.get(name)
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def main() -> None:
    """Searches under every limit, then writes the table."""
    names = _names()
    ray_workers.settle()
    with run_folder.open_run(
        "search_limits", "search_limits", free=(*search_run.FREE, *_OWN)
    ) as folder:
        subject = search_run.read_subject()
        blueprint = subject.blueprint
        # Whatever can be refused is, before anything is scored.
        baselines = [_baseline(name, blueprint) for name in FLAGS.baseline]
        plans = {}
        for name, limit in names.items():
            with _flags_of(name, limit):
                plans[name] = search_run.plan(blueprint)
        rows = []
        with search_judge.open_judge(subject.trained) as judge:
            for name, limit in names.items():
                logging.info("Searching under %s.", limit)
                with (
                    _flags_of(name, limit),
                    run_folder.open_run(
                        "search", "search", free=search_run.FREE
                    ) as own,
                ):
                    winner = search_run.search(
                        own, blueprint, plans[name], judge
                    )
                rows.append(
                    {
                        "limit": limit,
                        "name": name,
                        "search_space": blueprint.search_space.name,
                        "encoding": list(winner.encoding),
                        "costs": dict(winner.costs),
                        "accuracy": winner.accuracy,
                        "test_accuracy": _test_accuracy(
                            name, list(winner.encoding)
                        ),
                    }
                )
        rows += baselines
        table = _markdown(rows)
        with unfinished(folder / "table.json") as path:
            path.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
        with unfinished(folder / "table.md") as path:
            path.write_text(table, "utf-8")
    print(table, end="")
    logging.info("See %s.", folder / "table.md")


if __name__ == "__main__":
    program.run(main)
