"""Searches from Python."""

import dataclasses
import json
import pathlib
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from random_images import GIVEN, RECALIBRATION, VALIDATION, images
from spos_tf.data.examples import Split
from spos_tf.data.inputs import images_of
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.data.splits import fingerprint
from spos_tf.errors import UserError
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.evaluation.metric import ScoreMetric
from spos_tf.evaluation.scorer import LocalScorer
from spos_tf.jobs import scoring
from spos_tf.jobs import search as search_job
from spos_tf.jobs.report import write_report
from spos_tf.jobs.search import search_supernet
from spos_tf.jobs.search_limits import search_limits
from spos_tf.options import SearchOptions
from spos_tf.space import Architecture
from spos_tf.space.candidate import best_of, same_record
from spos_tf.space.front import front_of
from spos_tf.space.record import Record, read_record

OPTIONS = SearchOptions(
    population=4,
    generations=3,
    top_k=2,
    recalibration_images=30,
    evaluation_batch_size=20,
)
LIMIT = {"max_macs": 90e3}


def search(supernet, work_dir=None, options=OPTIONS, **others):
    return search_supernet(
        supernet,
        work_dir=work_dir,
        options=options,
        **{**GIVEN, **LIMIT, **others},
    )


def formula(candidate):
    return 0.5 + float(np.sin(np.array(candidate) @ [1, 2, 3])) / 2


@pytest.fixture
def quick(monkeypatch):
    """Scores by a formula: the tests that take this are not about scores."""
    monkeypatch.setattr(
        scoring,
        "_traced_scorer",
        lambda task, threads: LocalScorer(formula),
    )


@pytest.fixture(scope="module")
def whole(supernet, tmp_path_factory):
    """A search with a folder, and what it found."""
    work_dir = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            scoring,
            "_traced_scorer",
            lambda task, threads: LocalScorer(formula),
        )
        return work_dir, search(supernet, work_dir)


def test_the_files_tell_what_is_returned(whole, blueprint):
    work_dir, found = whole
    assert found.folder == work_dir / "search" / "default"
    assert {path.name for path in found.folder.iterdir()} == {
        *("record.jsonl", "best.json", "search.png", "search.flags"),
        *("run.json", "scored_with.json", ".lock"),
    }
    assert (work_dir / "search" / "scores.jsonl").exists()
    assert len(found.candidates) == 12 and not found.front
    record = read_record(found.folder / "record.jsonl")
    assert list(found.candidates) == record
    best = json.loads((found.folder / "best.json").read_text())
    assert best["score"] == best["accuracy"] == found.best.score
    assert (best["metric"], best["direction"]) == ("accuracy", "max")
    assert best["costs"] == found.best.costs
    assert best["costs"]["macs"] <= 90e3
    architecture = Architecture.read(found.folder / "best.json")
    assert architecture.choices == found.best.architecture.choices
    encoding = blueprint.encode(architecture)
    assert tuple(encoding.tolist()) == found.best.encoding
    assert best_of(record).encoding == found.best.encoding
    # For people who look at it in a notebook.
    assert len(repr(found)) < 2000


def test_the_winner_may_be_that_of_the_additive_fit(
    supernet, tmp_path, quick, caplog
):
    by_score = search(supernet, tmp_path)
    caplog.set_level("INFO", "spos_tf")
    # The search is over, so nothing is evaluated.
    options = dataclasses.replace(OPTIONS, winner="additive")
    by_fit = search(supernet, tmp_path, options)
    assert by_fit.candidates == by_score.candidates
    encodings = np.array([one.encoding for one in by_fit.candidates])
    scores = np.array([one.score for one in by_fit.candidates])
    design = np.concatenate(
        [encodings[:, [k]] == np.arange(4) for k in range(encodings.shape[1])],
        axis=1,
    )
    fitted = design @ np.linalg.pinv(design) @ scores
    place = by_fit.candidates.index(
        next(
            one
            for one in by_fit.candidates
            if one.encoding == by_fit.best.encoding
        )
    )
    assert fitted[place] == pytest.approx(fitted.max())
    # Its score is its own, not the fit's.
    assert by_fit.best.score == scores[place]
    best = json.loads((by_fit.folder / "best.json").read_text())
    assert best["score"] == by_fit.best.score
    assert "Best by the additive fit: " in caplog.text
    back = search(supernet, tmp_path)
    assert back.best.encoding == by_score.best.encoding


def test_run_json_has_all_options_and_what_was_read(whole, supernet):
    _, found = whole
    run = json.loads((found.folder / "run.json").read_text())
    assert [*run] == [
        *("schema", "tool", "version", "options", "recipe", "inputs"),
        "versions",
    ]
    assert (run["schema"], run["tool"]) == (1, "search")
    assert run["versions"].keys() == {"tensorflow", "keras", "numpy"}
    assert run["options"]["max_macs"] == 90e3
    assert run["options"]["population"] == 4
    assert run["options"]["supernet_name"] == "default"
    assert run["options"]["search_space"] == "shufflenet_blocks"
    assert run["inputs"].keys() == {"supernet", "validation", "recalibration"}
    assert run["inputs"]["supernet"] == supernet.fingerprint()
    assert (
        "--max_macs=90000.0"
        in (found.folder / "search.flags").read_text().splitlines()
    )


def test_a_search_in_memory_finds_the_same_and_writes_nothing(
    whole, quick, supernet, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    found = search(supernet)
    assert found.folder is None and not list(tmp_path.iterdir())
    assert same_record(found.candidates, whole[1].candidates)
    assert found.best.encoding == whole[1].best.encoding


def test_the_supernets_work_dir_is_the_default(quick, supernet, tmp_path):
    placed = dataclasses.replace(supernet, work_dir=tmp_path)
    found = search(placed)
    assert found.folder == tmp_path / "search" / "default"
    assert found.best.supernet is placed


def test_a_killed_search_is_resumed_and_best_json_is_never_behind(
    whole, quick, supernet, tmp_path
):
    folder = tmp_path / "search" / "default"
    append, seen = Record.append, []

    class Killed(BaseException):
        pass

    def append_or_die(self, candidate):
        if len(self) == 9:
            raise Killed
        append(self, candidate)
        # Generations before this candidate's are in it.
        done = [c for c in self.candidates if c.generation < len(self) // 4]
        if done and len(self) % 4:
            best = json.loads((folder / "best.json").read_text())
            seen.append(best["score"])
            assert best["score"] >= best_of(done).score

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Record, "append", append_or_die)
        with pytest.raises(Killed):
            search(supernet, tmp_path)
    assert len(seen) == 4
    before = json.loads((folder / "best.json").read_text())
    found = search(supernet, tmp_path)
    assert found.best.score >= before["score"]
    assert same_record(found.candidates, whole[1].candidates)
    again = search(supernet, tmp_path)
    assert again.candidates == found.candidates


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"strategy": "random"},
        {"strategy": "nsga2"},
        {"asynchronous": True, "lag": 3},
        {"asynchronous": True, "lag": 7},
    ],
    ids=str,
)
def test_more_generations_go_on_as_if_asked_for_at_once(
    quick, supernet, tmp_path, kind
):
    if kind.get("strategy") == "nsga2":
        pytest.importorskip("pymoo", reason="the extra [nsga2] is missing")
    options = dataclasses.replace(OPTIONS, **kind)
    at_once = search(supernet, tmp_path / "at_once", options)
    for generations in (1, 2, 3):
        part = dataclasses.replace(options, generations=generations)
        found = search(supernet, tmp_path / "parts", part)
        assert len(found.candidates) == 4 * generations
        assert found.best.score == best_of(found.candidates).score
    assert same_record(found.candidates, at_once.candidates)
    for name in ("best.json", "front.json", "scored_with.json"):
        files = [(one.folder / name) for one in (at_once, found)]
        assert files[0].exists() == files[1].exists()
        if files[0].exists():
            assert files[0].read_bytes() == files[1].read_bytes()
    fewer = dataclasses.replace(options, generations=2)
    with pytest.raises(UserError, match="`generations=3` or more"):
        search(supernet, tmp_path / "parts", fewer)


@pytest.mark.parametrize("kind", [{}, {"asynchronous": True, "lag": 3}])
def test_a_time_limit_ends_a_search_that_can_go_on(
    quick, supernet, tmp_path, caplog, kind
):
    options = dataclasses.replace(OPTIONS, **kind)
    whole = search(supernet, tmp_path / "whole", options)
    # Over at once: every start adds one evaluation.
    hurried = dataclasses.replace(options, time_limit="0.001s")
    for count in range(1, 13):
        with caplog.at_level("INFO", "spos_tf"):
            found = search(supernet, tmp_path / "parts", hurried)
        assert len(found.candidates) == count
        assert found.best.score == best_of(found.candidates).score
        said = f"`time_limit=0.001s` is over after {count} of 12 evaluations"
        assert (said in caplog.text) is (count < 12)
        assert Architecture.read(found.folder / "best.json").choices == (
            found.best.architecture.choices
        )
        assert len(read_record(found.folder / "record.jsonl")) == count
        assert (found.folder / "search.png").stat().st_size > 1000
        if count == 6:
            page = write_report(tmp_path / "parts")
            assert "damaged" not in page.read_text("utf-8")
    assert same_record(found.candidates, whole.candidates)
    with pytest.raises(UserError, match="`time_limit` ends one search"):
        search_limits(supernet, ["macs<=90e3"], options=hurried, **GIVEN)


def test_pictures_are_drawn_while_a_search_goes_on(
    quick, supernet, tmp_path, monkeypatch
):
    monkeypatch.setattr(search_job, "_DRAWN_EVERY", 0.0)
    append = Record.append

    class Killed(BaseException):
        pass

    def append_or_die(self, candidate):
        if len(self) == 5:
            raise Killed
        append(self, candidate)

    monkeypatch.setattr(Record, "append", append_or_die)
    with pytest.raises(Killed):
        search(supernet, tmp_path)
    folder = tmp_path / "search" / "default"
    assert (folder / "search.png").stat().st_size > 1000
    assert (folder / "best.json").exists()


def test_other_searches_take_known_scores(whole, quick, supernet):
    work_dir, found = whole
    random = search(
        supernet,
        work_dir,
        dataclasses.replace(OPTIONS, strategy="random"),
        name="random",
    )
    known = {one.encoding: one.score for one in found.candidates}
    first = [one for one in random.candidates if one.encoding in known]
    assert len(first) >= 4
    for one in first:
        assert (one.worker, one.score) == ("memo", known[one.encoding])
    lines = (work_dir / "search" / "scores.jsonl").read_text().split("\n")
    keys = {json.loads(line)["key"] for line in lines if line}
    assert len(keys) == 1


@pytest.fixture(scope="module")
def scored(supernet):
    """A search whose scores are computed, one by one."""
    return search(supernet)


def test_scores_are_those_of_an_evaluator(scored, supernet):
    task = scoring.ScoringTask(
        supernet,
        Split(*RECALIBRATION, "pixels"),
        Split(*VALIDATION, "pixels"),
        PreprocessingOptions(image_size=8, augmentation="none"),
        ScoreMetric.make(num_classes=10),
        OPTIONS,
    )
    assert len({one.score for one in scored.candidates}) > 3
    assert all(0 <= one.score <= 1 for one in scored.candidates)
    # The same images in another order: batches differ, and so may last bits.
    evaluator = Evaluator(task.network(), *task.batches())
    for one in scored.candidates[:3]:
        assert abs(evaluator(one.encoding) - one.score) < 0.1


def test_a_tree_scores_the_same(scored, supernet, tmp_path):
    tree = dataclasses.replace(OPTIONS, scoring="tree", chunk_size=3)
    found = search(supernet, tmp_path, tree)
    assert same_record(found.candidates, scored.candidates)


LOSS = keras.metrics.SparseCategoricalCrossentropy(from_logits=True)


def test_less_is_better_where_the_metric_says_so(supernet, tmp_path):
    found = search(supernet, tmp_path, metric=LOSS, direction="min")
    scores = [one.score for one in found.candidates]
    assert found.best.score == min(scores) < max(scores)
    assert found.best.metric == "sparse_categorical_crossentropy"
    best = json.loads((found.folder / "best.json").read_text())
    assert "accuracy" not in best and best["direction"] == "min"
    for path in ("record.jsonl", "../scores.jsonl"):
        for line in filter(None, (found.folder / path).read_text().split("\n")):
            said = json.loads(line)
            assert (said["metric"], said["direction"]) == (LOSS.name, "min")
            assert "accuracy" not in said
    run = json.loads((found.folder / "run.json").read_text())
    described = run["options"]["metric"]["metric"]
    assert described["class_name"] == "SparseCategoricalCrossentropy"
    # Another metric is another search.
    with pytest.raises(UserError, match="other values of `metric`"):
        search(supernet, tmp_path, metric=keras.metrics.AUC())
    with pytest.raises(UserError, match="or the metric changed since"):
        search(supernet, tmp_path)


@pytest.mark.parametrize(
    ("package", "options"),
    [("ray", {"workers": "ray"}), ("pymoo", {"strategy": "nsga2"})],
)
def test_a_missing_package_names_the_extra(
    supernet, monkeypatch, package, options
):
    for name in [one for one in sys.modules if "pymoo" in one]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    extra = "ray" if package == "ray" else "nsga2"
    with pytest.raises(UserError, match=rf"extra '{extra}'") as caught:
        search(supernet, options=dataclasses.replace(OPTIONS, **options))
    said = str(caught.value)
    assert f"pip install -e '.[{extra}]'" in said and "\n" not in said
    assert "'PATH/TO/spos_tf-" in said and f"whl[{extra}]'" in said
    assert "install 'spos_tf" not in said


def test_a_front_of_score_and_cost(quick, supernet, tmp_path):
    pytest.importorskip("pymoo", reason="the extra [nsga2] is not installed")
    options = dataclasses.replace(OPTIONS, strategy="nsga2", objective="params")
    found = search(supernet, tmp_path, options)
    expected = front_of(found.candidates, "params")
    assert [one.encoding for one in found.front] == [
        one.encoding for one in expected
    ]
    front = json.loads((found.folder / "front.json").read_text())
    assert front["objectives"] == ["accuracy", "params"]
    for written, one in zip(front["candidates"], found.front, strict=True):
        assert written["score"] == written["accuracy"] == one.score
        assert tuple(written["encoding"]) == one.encoding
    assert (found.folder / "front.png").exists()


def test_pins_hold(quick, supernet, blueprint):
    name = blueprint.search_space.choices[0].name
    for fix in ([f"{name}=7x7"], {name: "7x7"}):
        found = search(supernet, fix=fix, max_macs=None)
        assert {one.choices[name] for one in found.candidates} == {"7x7"}


def test_few_training_images_are_all_taken(quick, supernet, caplog):
    few = dataclasses.replace(OPTIONS, recalibration_images=1000)
    with caplog.at_level("INFO", "spos_tf"):
        search(supernet, options=few)
    assert "all training images there are: 40" in caplog.text


def test_the_process_is_left_as_it_was(quick, supernet):
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        state = np.random.get_state()[1].tolist()
        search(supernet)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert np.random.get_state()[1].tolist() == state
    finally:
        keras.mixed_precision.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation": images(61, 3)}, "held out; these are others"),
        ({"recalibration": None}, "Give both, or neither"),
        ({**dict.fromkeys(GIVEN)}, "in no file. Give them again as"),
        ({"max_macs": 10}, "the least"),
        ({"max_energy": 10}, "max_energy"),
        ({"constraint": ["joules<=1"]}, "Unknown cost 'joules'"),
        ({"direction": "min"}, "Accuracy is better when it is larger"),
        ({"metric": "auc"}, "`metric` is a Keras metric"),
        ({"name": "a/b"}, "`name` is a plain folder name"),
        ({"fix": ["no=1"]}, "`fix=no=1` names choice 'no'"),
        ({"latency_table": ["no.yaml"]}, "no.yaml"),
        ({"max_latency_ms": 3}, "latency_ms is read from a table"),
    ],
)
def test_what_is_refused_leaves_no_trace(
    quick, supernet, tmp_path, arguments, message
):
    with pytest.raises(UserError, match=message) as caught:
        search(supernet, tmp_path / "new", **arguments)
    assert "\n" not in str(caught.value) and "--" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_another_search_in_the_folder_is_refused(whole, quick, supernet):
    work_dir, found = whole
    before = (found.folder / "record.jsonl").read_bytes()
    other = dataclasses.replace(OPTIONS, top_k=3)
    with pytest.raises(UserError, match="other values of `top_k`"):
        search(supernet, work_dir, other)
    weights = {name: one + 1 for name, one in supernet.weights.items()}
    with pytest.raises(UserError, match="The supernet, the images or the"):
        search(dataclasses.replace(supernet, weights=weights), work_dir)
    assert (found.folder / "record.jsonl").read_bytes() == before


def halved(supernet):
    """With averages that are other weights."""
    return dataclasses.replace(
        supernet,
        averages={name: one / 2 for name, one in supernet.weights.items()},
    )


def test_the_weights_that_are_read_are_part_of_a_search(
    quick, supernet, tmp_path
):
    both = halved(supernet)
    averaged = dataclasses.replace(OPTIONS, weights="averaged")
    folders = {
        "last": search(both, tmp_path).folder,
        "averaged": search(both, tmp_path, averaged, name="averaged").folder,
    }
    for which, folder in folders.items():
        run = json.loads((folder / "run.json").read_text())
        assert run["options"]["weights"] == which
        assert run["inputs"]["supernet"] == both.fingerprint(which)
        with_ = json.loads((folder / "scored_with.json").read_text())
        assert with_["weights"] == which
    assert both.fingerprint("last") == supernet.fingerprint()
    assert both.fingerprint("averaged") != supernet.fingerprint()
    with pytest.raises(UserError, match="other values of `weights`"):
        search(both, tmp_path, averaged)
    # Not one score is shared.
    lines = (tmp_path / "search" / "scores.jsonl").read_text().splitlines()
    keys = [json.loads(line)["key"] for line in lines if line]
    assert len({*keys}) == 2


def test_a_supernet_without_averages_is_read_as_it_is(
    quick, supernet, tmp_path
):
    found = search(supernet, tmp_path)
    run = json.loads((found.folder / "run.json").read_text())
    assert run["options"]["weights"] == "last"
    averaged = dataclasses.replace(OPTIONS, weights="averaged")
    with pytest.raises(UserError, match="`weights=averaged` needs") as caught:
        search(supernet, tmp_path / "new", averaged)
    assert "\n" not in str(caught.value) and "--" not in str(caught.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("asked", [None, "averaged", "last"])
@pytest.mark.parametrize("read", [None, "averaged", "last"])
def test_paths_are_scored_with_the_weights_that_are_asked_for(
    supernet, asked, read
):
    """Here and by workers, who are sent nothing else."""
    which = asked or read or "last"
    both = dataclasses.replace(halved(supernet), read=read)
    options = dataclasses.replace(OPTIONS, weights=asked)
    sent = both.to_send(options)
    assert sent.chosen(asked) == both.chosen(asked) == which
    wanted = both.averages if which == "averaged" else both.weights
    assert sent.fingerprint(asked) == both.fingerprint(asked)
    assert len(sent.weights) + len(sent.averages or {}) == len(wanted)
    pixels = PreprocessingOptions(image_size=8, augmentation="none")
    splits = [Split(*one, "pixels") for one in (RECALIBRATION, VALIDATION)]
    metric = ScoreMetric.make(num_classes=10)
    for one in (both, sent):
        task = scoring.ScoringTask(one, *splits, pixels, metric, options)
        for name, variable in task.network().named_variables.items():
            np.testing.assert_array_equal(variable, wanted[name])


def test_tensorflows_threads_are_those_of_the_process(quick, supernet):
    options = dataclasses.replace(
        OPTIONS, measure_latency=True, runtime="tensorflow", latency_threads=3
    )
    assert tf.config.threading.get_intra_op_parallelism_threads() != 3
    with pytest.raises(UserError, match="`latency_threads=3` and `threads="):
        search(supernet, options=options)


def test_the_best_are_measured(quick, supernet, tmp_path):
    options = dataclasses.replace(
        OPTIONS, measure_latency=True, measured_candidates=2
    )
    found = search(supernet, tmp_path, options)
    best = json.loads((found.folder / "best.json").read_text())
    rows = best["measured"]["candidates"]
    assert len(rows) == 2
    assert tuple(rows[0]["encoding"]) == found.best.encoding
    # It stays when the search is started again without.
    search(supernet, tmp_path)
    again = json.loads((found.folder / "best.json").read_text())
    assert again == best


def test_a_sibling_of_another_strategy_shares_the_plot(
    whole, quick, supernet, monkeypatch
):
    work_dir, _ = whole
    drawn = []
    monkeypatch.setattr(
        "spos_tf.jobs.search_files.plot_search",
        lambda records, path: drawn.append((records, pathlib.Path(path))),
    )
    random = dataclasses.replace(OPTIONS, strategy="random")
    search(supernet, work_dir, random, name="again")
    other = dataclasses.replace(random, seed=1)
    search(supernet, work_dir, other, name="seed1")
    assert [sorted(records) for records, _ in drawn] == [
        ["evolution", "random"],
        ["random"],
    ]


def test_the_images_of_the_training_are_split_again(quick, supernet):
    """Where they are arrays, what was held out is found by its fingerprint."""
    whole = tuple(
        np.concatenate(pair)
        for pair in zip(VALIDATION, RECALIBRATION, strict=True)
    )
    _, held_out = images_of(whole, argument="train", num_classes=10).hold_out(2)
    described = {
        **supernet.description,
        "holdout_per_class": 2,
        "search_split": fingerprint(held_out.split),
    }
    trained = dataclasses.replace(supernet, description=described)
    given = {**dict.fromkeys(GIVEN), "train": whole}
    assert len(search(trained, **given).candidates) == 12
    with pytest.raises(UserError, match="`holdout_per_class=2`"):
        search(
            trained,
            options=dataclasses.replace(OPTIONS, holdout_per_class=1),
            **given,
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_workers": 2}, "`num_workers` belongs to `workers=ray`"),
        ({"ray_address": "auto"}, "`ray_address` belongs to `workers=ray`"),
        ({"lag": 3}, "`lag` belongs to `asynchronous=true`; got `lag=3`"),
        ({"asynchronous": True, "lag": 0}, "`lag` is at least 1; got 0"),
        (
            {"asynchronous": True, "strategy": "nsga2"},
            "`asynchronous` goes with `strategy=evolution`",
        ),
        (
            {"asynchronous": True, "scoring": "tree"},
            "`asynchronous` goes with `scoring=single`",
        ),
        ({"objective": "macs"}, "`objective` belongs to `strategy=nsga2`"),
        ({"crossover": 3, "mutation": 2}, "`population` of 4; got 3 [+] 2"),
        ({"mutation_probability": 0}, "above 0 and at most 1; got 0"),
    ],
)
def test_options_that_contradict_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(OPTIONS, **changes)


def test_an_asynchronous_search_is_the_same_in_any_order(
    quick, supernet, monkeypatch
):
    options = dataclasses.replace(OPTIONS, asynchronous=True, lag=3)
    alone = search(supernet, options=options)

    class Backwards(LocalScorer):
        def take(self):
            self._waiting.reverse()
            return super().take()

    monkeypatch.setattr(
        scoring,
        "_traced_scorer",
        lambda task, threads: Backwards(formula),
    )
    other = search(supernet, options=options)
    assert same_record(alone.candidates, other.candidates)
    assert len(alone.candidates) == 12


def test_a_second_search_of_a_supernet_traces_nothing_again(
    supernet, monkeypatch
):
    made = []
    evaluator = scoring._evaluator
    monkeypatch.setattr(
        scoring,
        "_evaluator",
        lambda *given: made.append(1) or evaluator(*given),
    )
    fresh = dataclasses.replace(supernet)
    first = search(fresh)
    options = dataclasses.replace(OPTIONS, strategy="random")
    search(fresh, options=options)
    again = search(fresh)
    assert len(made) == 1
    assert same_record(first.candidates, again.candidates)


@pytest.mark.parametrize("name", ["train", "recalibration"])
def test_the_arrays_to_recalibrate_on_are_those_of_the_training(
    quick, supernet, tmp_path, name
):
    given = images_of(RECALIBRATION, argument="train", num_classes=10)
    inputs = {"train": "t", "validation": "v", name: given.fingerprint()}
    folder = tmp_path / "supernet" / "default"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"inputs": inputs}))
    placed = dataclasses.replace(supernet, work_dir=tmp_path)
    assert len(search(placed).candidates) == 12
    with pytest.raises(UserError, match="are others. .* as `recalibration`"):
        search(placed, name="other", recalibration=images(40, 4))
    assert not (tmp_path / "search" / "other").exists()
    # A stream is known by its form alone.
    other = {"recalibration": images(40, 4), "name": "other"}
    inputs[name] = "tf.data:abc"
    (folder / "run.json").write_text(json.dumps({"inputs": inputs}))
    assert len(search(placed, **other).candidates) == 12


def test_a_table_over_limits_says_what_is_not_known(
    quick, supernet, tmp_path, caplog
):
    """Of networks without a test accuracy, and of baselines."""

    def search_all():
        found = search_limits(
            supernet,
            ["macs<=90e3"],
            ["fbnet_a"],
            options=OPTIONS,
            work_dir=tmp_path,
            **GIVEN,
        )
        run = json.loads((found.folder / "run.json").read_text())
        assert run["inputs"].keys() == {
            *("supernet", "validation", "recalibration")
        }
        return found.rows

    row, baseline = search_all()
    assert (row["metric"], row["direction"]) == ("accuracy", "max")
    for name in ("score", "metric", "direction", "test_accuracy"):
        assert baseline[name] is None
    metrics = tmp_path / "subnet" / row["name"] / "metrics.json"
    metrics.parent.mkdir(parents=True)
    for of_test in ({"test_accuracy": None}, {"test_score": 2.5}):
        metrics.write_text(json.dumps({"encoding": row["encoding"], **of_test}))
        assert search_all()[0]["test_accuracy"] is None
    assert "cannot be read" not in caplog.text
