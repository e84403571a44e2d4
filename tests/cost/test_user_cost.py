import numpy as np
import pytest

from spos_tf.cost.counts import network_cost
from spos_tf.cost.table import CostTable
from spos_tf.cost.user_cost import is_user_cost, load_cost, user_cost
from spos_tf.errors import UserError
from spos_tf.spaces import build_blueprint

DEMO = build_blueprint("shufflenet_blocks", preset="demo")
FILE = """
import numpy as np

class Refusal(Exception):
    pass

def whole(slot):
    return slot.macs

def real(slot):
    return slot.macs * 1e-3 + 0.5 * slot.params

def numpy_number(slot):
    return np.float32(slot.macs)

def large_kernels(architecture):
    return sum(op == "7x7" for op in architecture.choices.values())

def negative(slot):
    return -1

def nan(slot):
    return float("nan")

def text(slot):
    return "5"

def true(slot):
    return True

def fails(slot):
    raise Refusal("no battery")

def nan_of_all(architecture):
    return float("nan")

def block(block):
    return 1

def two(slot, architecture):
    return 1

def none():
    return 1

number = 3
"""


@pytest.fixture
def cost(tmp_path):
    """`cost("whole")` loads that function and tabulates it."""
    path = tmp_path / "mine.py"
    path.write_text(FILE, "utf-8")
    return lambda name: user_cost(DEMO, load_cost(f"{path}:{name}"))


def test_a_cost_by_slot_is_an_exact_table(cost):
    encodings = DEMO.search_space.sample(np.random.default_rng(0), 20)
    whole, real = cost("whole"), cost("real")
    assert isinstance(whole, CostTable) and isinstance(real, CostTable)
    assert (whole.name, real.name) == ("whole", "real")
    counted = [network_cost(DEMO, encoding) for encoding in encodings]
    assert whole(encodings).tolist() == [one.macs for one in counted]
    assert whole.table.dtype == np.int64
    np.testing.assert_allclose(
        real(encodings),
        [one.macs * 1e-3 + 0.5 * one.params for one in counted],
    )
    assert cost("numpy_number")(encodings).dtype == np.float64
    assert (cost("negative")(encodings) < 0).all()


def test_a_cost_by_architecture_is_asked_once_for_each(cost):
    kernels = cost("large_kernels")
    assert kernels.name == "large_kernels"
    encodings = np.array([[2, 2, 0, 1, 3], [0] * 5, [2, 2, 0, 1, 3]])
    assert kernels(encodings).tolist() == [2, 0, 2]
    assert kernels(encodings[:0]).shape == (0,)
    assert kernels(encodings).dtype.kind == "i"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nan", "one finite number.*gives nan for stem"),
        ("text", "one finite number.*gives '5'"),
        ("true", "one finite number.*gives True"),
        ("fails", "fails for stem: Refusal: no battery"),
        ("block", "'slot'.*'architecture'.*takes [(]block[)]"),
        ("two", "takes [(]slot, architecture[)]"),
        ("none", "takes [(][)]"),
        ("number", "no function 'number'"),
        ("missing", "no function 'missing'"),
    ],
)
def test_what_is_no_cost_is_refused(cost, name, message):
    with pytest.raises(UserError, match=message):
        cost(name)


def test_what_gives_no_number_for_an_architecture_is_refused(cost):
    with pytest.raises(UserError, match="nan for architecture 0,1,2,3,0"):
        cost("nan_of_all")([[0, 1, 2, 3, 0]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("energy", "FILE.py:function.*'energy'"),
        ("energy.txt:function", "FILE.py:function"),
        ("energy.py:", "FILE.py:function"),
        ("no/such.py:energy", "no file 'no/such.py'"),
    ],
)
def test_what_names_no_file_is_refused(text, message):
    with pytest.raises(UserError, match=message):
        load_cost(text)


@pytest.mark.parametrize(
    ("code", "message"),
    [("def (", "SyntaxError"), ("import no_such_module", "no_such_module")],
)
def test_a_file_that_does_not_run_is_refused(tmp_path, code, message):
    path = tmp_path / "broken.py"
    path.write_text(code, "utf-8")
    # Twice: what failed is not kept.
    for _ in range(2):
        with pytest.raises(UserError, match=f"does not run: .*{message}"):
            load_cost(f"{path}:energy")


def test_a_path_may_hold_a_colon(tmp_path):
    folder = tmp_path / "a:b"
    folder.mkdir()
    (folder / "mine.py").write_text(FILE, "utf-8")
    assert is_user_cost(f"{folder}/mine.py:whole")
    assert load_cost(f"{folder}/mine.py:whole").name == "whole"


def test_whole_numbers_do_not_wrap_around(tmp_path):
    """Sums beyond 2^63 are told as real numbers."""
    path = tmp_path / "large.py"
    path.write_text(
        "def large(slot):\n    return 5 * 10**18 * len(slot.choices)\n"
        "def huge(slot):\n    return 10**30\n",
        "utf-8",
    )
    blueprint = build_blueprint("shufflenet_blocks", preset="demo")
    table = user_cost(blueprint, load_cost(f"{path}:large"))
    assert table([0] * 5) == pytest.approx(2.5e19)
    table = user_cost(blueprint, load_cost(f"{path}:huge"))
    assert table([0] * 5) == pytest.approx(7e30)


def test_a_cost_that_ends_the_program_is_told(tmp_path):
    path = tmp_path / "ends.py"
    path.write_text("def ends(slot):\n    raise SystemExit(3)\n", "utf-8")
    blueprint = build_blueprint("shufflenet_blocks", preset="demo")
    with pytest.raises(UserError, match="SystemExit: 3"):
        user_cost(blueprint, load_cost(f"{path}:ends"))
