"""Right files to be spoilt, and the tools that read each."""

import dataclasses
import json
import pathlib
import random
import shutil
import sys
from collections.abc import Callable

import numpy as np

from fuzz_tools import REPOSITORY, Ran, Tools
from spos_tf.cost.table import slot_options
from spos_tf.spaces import build_blueprint

sys.path.append(str(REPOSITORY / "tests"))
import official_files
from file_mutations import mutate
from made_up_latencies import write_table
from made_up_work_dir import write_work_dir

_SPACE = "shufflenet_blocks"
_DATA = ("--dataset=digits", "--augmentation=shift")
_SEARCH = (
    *_DATA,
    "--holdout_per_class=5",
    "--recalibration_images=50",
    "--population=4",
    "--generations=2",
    "--top_k=2",
)
_TRAIN = (
    *_DATA,
    "--preset=demo",
    "--batch_size=16",
    "--steps=2",
    "--checkpoint_every=2",
    "--validate_every=0",
)
_SUPERNET = (*_TRAIN, "--holdout_per_class=5", "--sampler=uniform")


@dataclasses.dataclass(frozen=True)
class Subject:
    """A sort of file and the tool that reads it.

    Attributes:
        group: Row of the result's table.
        kind: See `file_mutations.mutate`.
        file: Below the case's folder; what is spoilt.
        tool: That reads it.
        arguments: `{case}` stands for the case's folder.
        base: Folder of right files that a case starts from.
        weight: Share of the cases, relative.
        oracle: Of what the tool did and the case's folder what is wrong with
            it, or None; only asked where the tool accepted the file.
        accepts: Whether the tool never refuses, as a report does.
    """

    group: str
    kind: str
    file: str
    tool: str
    arguments: tuple[str, ...]
    base: pathlib.Path
    weight: float
    oracle: Callable[[Ran, pathlib.Path, pathlib.Path], str | None]
    accepts: bool = False

    def place(
        self, case: pathlib.Path, rng: random.Random, others: list[bytes]
    ) -> str:
        """Makes the case's folder with the spoilt file; says what was done."""
        shutil.copytree(self.base, case, symlinks=True)
        path = case / self.file
        content = path.read_bytes()
        if rng.random() < 0.05:
            return _no_file(path, rng)
        words, spoilt = mutate(content, rng, kind=self.kind, others=others)
        path.write_bytes(spoilt)
        return words


def _no_file(path: pathlib.Path, rng: random.Random) -> str:
    path.unlink()
    way = rng.choice(("folder", "circle", "dangling", "null", "missing"))
    if way == "folder":
        path.mkdir()
    elif way == "circle":
        path.symlink_to(path)
    elif way == "dangling":
        path.symlink_to(path.parents[1] / "gone")
    elif way == "null":
        path.symlink_to("/dev/null")
    return f"not a file: {way}"


def prepare(root: pathlib.Path, tools: Tools) -> dict[str, pathlib.Path]:
    """Makes the right files once, with the tools themselves.

    Returns:
        Folders by name: `files` of files by themselves, `work` with a
        work_dir that was trained, `page` with one that is made up.
    """
    blueprint = build_blueprint(_SPACE, preset="demo")
    files, work = root / "right" / "files", root / "right" / "work"
    page = root / "right" / "page"
    files.mkdir(parents=True)
    work.mkdir()
    page.mkdir()
    (files / "a.json").write_text(
        blueprint.architecture([2, 1, 0, 3, 1]).to_json()
    )
    (files / "a.flags").write_text(
        "# A network.\n--search_space=shufflenet_blocks\n--preset=demo\n"
        "--num_classes=10\n--encoding=2,1,0,3,1\n--format=json\n"
    )
    data = official_files.whole(indexes=(0, 1))
    official_files.write_torch(files / "old.pth", data, zipped=False)
    official_files.write_torch(files / "new.pth", data, zipped=True)
    official_files.write_compressed(files / "nats.pickle.pbz2", data)
    write_table(blueprint, work / "latency.yaml")

    def run(tool: str, *arguments: str) -> None:
        done = tools(tool, *arguments, folder=work)
        if done.code:
            raise RuntimeError(f"{tool} failed: {done.stderr[-2000:]}")

    there = f"--work_dir={work / 'runs'}"
    run("train_supernet", there, *_SUPERNET)
    run("search", there, *_SEARCH)
    run(
        "train_subnet",
        there,
        *_TRAIN,
        "--encoding=2,1,0,3,1",
    )
    rng = np.random.default_rng(0)
    rows = np.unique(blueprint.search_space.sample(rng, 8), axis=0)
    texts = [",".join(map(str, row)) for row in rows.tolist()]
    figures = rng.uniform(80, 95, len(rows)).round(2)
    np.savez(
        work / "table.npz",
        arch_str=np.array(texts),
        macs=np.arange(len(rows)),
        test=figures,
    )
    lines = ["arch_str,macs,test\n"]
    lines += [
        f'"{text}",{i},{figure}\n'
        for i, (text, figure) in enumerate(zip(texts, figures, strict=True))
    ]
    (work / "table.csv").write_text("".join(lines))
    run("correlate", there, *_correlate("npz"), "--name=right")
    write_work_dir(page / "runs")
    assert slot_options(blueprint)
    return {"files": files, "work": work, "page": page}


def _correlate(kind: str) -> tuple[str, ...]:
    return (
        *_DATA,
        "--holdout_per_class=5",
        "--recalibration_images=50",
        f"--table=table.{kind}",
        "--accuracy_column=test",
        "--num_architectures=0",
        "--top_k=2",
        "--resamples=5",
    )


def subjects(right: dict[str, pathlib.Path]) -> list[Subject]:
    """All sorts of files, heavier ones oftener."""
    import fuzz_oracles as oracles
    import fuzz_pickles

    files, work, page = right["files"], right["work"], right["page"]
    runs = "--work_dir=runs"
    checkpoint = next((work / "runs/supernet").rglob("step-*.npz"))
    a_checkpoint = str(checkpoint.relative_to(work))
    search = (runs, *_SEARCH)
    describe = ("--architecture=a.json", "--format=json")
    found = [
        Subject(
            "architecture files",
            "json",
            "a.json",
            "describe",
            describe,
            files,
            22,
            oracles.described,
        ),
        Subject(
            "records",
            "lines",
            "runs/search/default/record.jsonl",
            "search",
            search,
            work,
            13,
            oracles.searched,
        ),
        Subject(
            "latency tables",
            "yaml",
            "latency.yaml",
            "search",
            (*search, "--name=new", "--latency_table=latency.yaml"),
            work,
            12,
            oracles.priced,
        ),
        *(
            Subject(
                "benchmark tables",
                of,
                f"table.{kind}",
                "correlate",
                (runs, *_correlate(kind), "--name=new"),
                work,
                weight,
                oracles.correlated,
            )
            for kind, of, weight in (("npz", "npz", 6), ("csv", "text", 6))
        ),
        *(
            Subject(
                "benchmark files",
                "bytes",
                name,
                "convert_nasbench201",
                (f"--source={name}", "--output=out.npz"),
                files,
                2,
                fuzz_pickles.converted,
            )
            for name in ("old.pth", "new.pth", "nats.pickle.pbz2")
        ),
        Subject(
            "flag files",
            "text",
            "a.flags",
            "describe",
            ("--flagfile=a.flags",),
            files,
            8,
            oracles.flagged,
        ),
        Subject(
            "runs",
            "json",
            "runs/search/default/run.json",
            "search",
            search,
            work,
            4,
            oracles.resumed,
        ),
        Subject(
            "checkpoints",
            "npz",
            a_checkpoint,
            "search",
            search,
            work,
            9,
            oracles.restored,
        ),
        Subject(
            "checkpoints",
            "npz",
            a_checkpoint,
            "train_supernet",
            (runs, *_SUPERNET),
            work,
            3,
            oracles.trained,
        ),
        Subject(
            "networks",
            "zip",
            "runs/subnet/default/subnet.keras",
            "evaluate",
            (runs, *_DATA),
            work,
            4,
            oracles.evaluated,
        ),
        Subject(
            "networks",
            "json",
            "runs/subnet/default/architecture.json",
            "evaluate",
            (runs, *_DATA),
            work,
            2,
            oracles.evaluated,
        ),
        *(
            Subject(
                "files that searches share",
                of,
                f"runs/search/{name}",
                "search",
                search,
                work,
                1,
                oracles.searched,
            )
            for name, of in (
                ("scores.jsonl", "lines"),
                ("default/best.json", "json"),
                ("default/scored_with.json", "json"),
            )
        ),
        *(
            Subject(
                "work_dirs in a report",
                of,
                f"runs/{name}",
                "report",
                (runs,),
                page,
                0.8,
                oracles.reported,
                accepts=True,
            )
            for name, of in (
                ("search/evolution/best.json", "json"),
                ("search/evolution/record.jsonl", "lines"),
                ("search/random/search.flags", "text"),
                ("subnet/winner/metrics.json", "json"),
                ("subnet/winner/architecture.json", "json"),
                ("export/winner/manifest.json", "json"),
                ("correlate/default/correlation.json", "json"),
                ("search_limits/default/table.json", "json"),
                ("latency.yaml.report.json", "json"),
                ("supernet/default/train_supernet.flags", "text"),
            )
        ),
        Subject(
            "work_dirs in a report",
            "bytes",
            str(next((page / "runs").rglob("*tfevents*")).relative_to(page)),
            "report",
            (runs,),
            page,
            0.8,
            oracles.reported,
            accepts=True,
        ),
    ]
    return found


def right_contents(some: list[Subject]) -> list[bytes]:
    """What the right files hold, to be put where others belong."""
    contents = {(one.base / one.file).read_bytes() for one in some}
    return sorted(contents)


def pretty(arguments: tuple[str, ...]) -> str:
    """For a finding."""
    return json.dumps(list(arguments))
