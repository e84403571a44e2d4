"""A work_dir as one HTML page that needs nothing else."""

import datetime
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import jinja2

from spos_tf.report import pipeline, results, search_results
from spos_tf.report.found import Network, find_networks
from spos_tf.report.plots import COSTS
from spos_tf.report.work_dir import Run, WorkDir

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_SECTIONS = {
    "summary": "Summary",
    "network": "Network",
    "search": "Search",
    "trust": "Trust",
    "choices": "Choices",
    "training": "Training",
    "correlation": "Ranking",
    "latency": "Latency",
    "export": "Exported files",
    "limits": "Limits",
    "repeat": "Repeat it",
    "missing": "Not there yet",
    "unreadable": "Not readable",
}


def report_page(work_dir: WorkDir) -> str:
    """The page; the same work_dir gives the same text.

    Args:
        work_dir: What was read; it has a run.
    """
    page = _contents(work_dir)
    return _environment().get_template("report.html.j2").render(page)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        percent=_percent, count=_count, size=_size, real=_real, duration=_time
    )
    return environment


def _contents(work_dir: WorkDir) -> dict[str, Any]:
    networks = find_networks(work_dir)
    searches = search_results.by_score(work_dir.runs["search"])
    newest = results.newest_first
    subnets = sorted(
        newest(work_dir.runs["subnet"]),
        key=lambda run: -(run.metrics.number("test_accuracy") or 0.0),
    )
    exports = newest(work_dir.runs["export"])
    correlations = newest(work_dir.runs["correlate"])
    fronts = [search_results.search_front(run) for run in searches]
    choices = [search_results.search_choices(run, networks) for run in searches]
    trusts = [search_results.search_trust(run) for run in searches]
    trainings = [
        results.training_curves(run)
        for run in (*newest(work_dir.runs["supernet"]), *subnets)
    ]
    latencies = [results.measured(run) for run in searches]
    tables = [results.latency_table(one) for one in work_dir.latency_tables]
    sections: dict[str, Any] = {
        "summary": _cards(networks, exports, correlations),
        "network": networks,
        "search": [
            *search_results.search_curves(searches),
            *(one for one in fronts if one),
        ],
        "trust": [one for one in trusts if one],
        "choices": [one for one in choices if one],
        "training": [
            one
            for one in trainings
            if one["charts"] or one["tested"] is not None
        ],
        "correlation": [results.correlation(run) for run in correlations],
        "latency": [one for one in (*latencies, *tables) if one],
        "export": [results.exported(run) for run in exports],
        "limits": [
            results.limits_table(run)
            for run in newest(work_dir.runs["search_limits"])
        ],
        "repeat": pipeline.repeat(work_dir),
        "missing": pipeline.missing(work_dir, searches),
    }
    # Last: reading a field may add to it.
    sections["unreadable"] = _problems(work_dir, networks)
    return {
        **sections,
        "name": work_dir.folder.resolve().name,
        "folder": str(work_dir.folder),
        "newest": _date(max(run.newest for run in work_dir.all_runs())),
        "stages": pipeline.stages(work_dir),
        "cost_names": _cost_names(networks),
        "any_measured": any(one.measured_ms is not None for one in networks),
        "contents": [
            (anchor, title)
            for anchor, title in _SECTIONS.items()
            if sections[anchor] or anchor == "summary"
        ],
    }


def _cards(
    networks: Sequence[Network],
    exports: Sequence[Run],
    correlations: Sequence[Run],
) -> list[tuple[str, str, str]]:
    """Figures of the first network and of the whole: (name, value, note)."""
    cards: list[tuple[str, str, str]] = []
    if networks:
        best = networks[0]
        if best.test_accuracy is not None:
            cards.append(
                ("Test accuracy", _percent(best.test_accuracy), "retrained")
            )
        if best.search_score is not None:
            score = best.metric.text(best.search_score)
            note = f"{best.metric.name}, search split"
            cards.append(("In the supernet", score, note))
        for name in (name for name in COSTS if name in best.costs):
            short, full = _large(best.costs[name]), _count(best.costs[name])
            title = COSTS[name][:1].upper() + COSTS[name][1:]
            cards.append((title, short, "" if short == full else full))
        if best.measured_ms is not None:
            cards.append(
                ("Measured latency", f"{best.measured_ms:.3g} ms", "median")
            )
    for run in exports[:1]:
        files = run.manifest.fields("files")
        agreements = [
            files.fields(name).number("top1_agreement") for name in files
        ]
        known = [one for one in agreements if one is not None]
        note = f"top-1 agreement from {_percent(min(known))}" if known else ""
        cards.append(("Exported files", str(len(files.values)), note))
    for run in correlations[:1]:
        tau, low, high = results.kendall(run.correlation)
        if tau is not None:
            note = run.name
            if low is not None and high is not None:
                note = f"{low:.2f} to {high:.2f}, {note}"
            cards.append(("Kendall tau", f"{tau:.3f}", note))
    return cards


def _cost_names(networks: Sequence[Network]) -> list[tuple[str, str]]:
    known = dict.fromkeys(name for one in networks for name in one.costs)
    names = [name for name in COSTS if name in known]
    names += [name for name in known if name not in names]
    return [(name, COSTS.get(name, name)) for name in names]


def _problems(
    work_dir: WorkDir, networks: Sequence[Network]
) -> list[tuple[str, str]]:
    rows = [
        (f"{run.stage}/{run.name}", problem)
        for run in work_dir.all_runs()
        for problem in run.problems
    ]
    rows += [
        (table.path, problem)
        for table in work_dir.latency_tables
        for problem in table.problems
    ]
    rows += [
        (
            ", ".join(network.runs),
            f"The network could not be drawn: {network.problem}",
        )
        for network in networks
        if network.problem
    ]
    return list(dict.fromkeys(rows))


def _date(seconds: float) -> str:
    """UTC, to the minute."""
    try:
        moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return "an unknown time"
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _percent(share: float | None, digits: int = 2) -> str:
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def _count(value: float | None) -> str:
    """A number with commas; six digits of one that is no integer."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _large(value: float) -> str:
    """Short, with k, M or G from ten thousand.

    >>> _large(318729024), _large(177792), _large(6.3164), _large(9500)
    ('318.7 M', '177.8 k', '6.3164', '9,500')
    """
    from matplotlib.ticker import EngFormatter

    if abs(value) < 1e4:
        return _count(value)
    return EngFormatter(places=1)(value)


def _size(value: float | None) -> str:
    """Bytes for people.

    >>> _size(61928), _size(900)
    ('60.5 KiB', '900 B')
    """
    if value is None:
        return "-"
    for power, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= power:
            return f"{value / power:.1f} {unit}"
    return f"{value:g} B"


def _real(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def _time(seconds: float) -> str:
    """A duration.

    >>> _time(42.4), _time(3725)
    ('42 s', '1 h 2 min')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
