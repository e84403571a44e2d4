"""Which process of a job on several hosts this is."""

import dataclasses

from spos_tf.errors import UserError
from spos_tf.strict_json import parse_json

_WAY_OUT = (
    "It is JSON such as "
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}, with another index on each host.'
)


@dataclasses.dataclass(frozen=True)
class Task:
    """One process of a job.

    Attributes:
        number: From 0; the chief is 0.
        total: Processes of the job.
    """

    number: int = 0
    total: int = 1

    @property
    def is_chief(self) -> bool:
        """Whether this process writes files and reports."""
        return self.number == 0


def read_task(text: str | None) -> Task:
    """Which process this is, from the environment variable TF_CONFIG.

    Args:
        text: Its value; None where it is not set.

    Raises:
        UserError: It is missing, or no description of a cluster of workers.
    """
    if not text:
        raise UserError(
            "Several hosts find each other by the environment variable "
            f"TF_CONFIG, which is not set. {_WAY_OUT}"
        )
    try:
        config = parse_json(text)
        cluster = config["cluster"]
        kind, index = config["task"]["type"], int(config["task"]["index"])
        hosts = {one: list(cluster[one]) for one in cluster}
        chiefs = len(hosts.get("chief", ()))
        workers = len(hosts.get("worker", ()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(
            f"TF_CONFIG does not say who trains; it is {text[:200]!r}. "
            f"{_WAY_OUT}"
        ) from None
    if set(hosts) - {"chief", "worker"} or chiefs > 1:
        raise UserError(
            "TF_CONFIG's cluster has workers and at most one chief; got "
            f"{ {one: len(hosts[one]) for one in hosts} }. {_WAY_OUT}"
        )
    if kind not in hosts or not 0 <= index < len(hosts[kind]):
        raise UserError(
            f"TF_CONFIG's task is one of its cluster's; got {kind!r} number "
            f"{index} of {len(hosts.get(kind, ()))}. {_WAY_OUT}"
        )
    number = index if kind == "chief" else chiefs + index
    return Task(number, chiefs + workers)
