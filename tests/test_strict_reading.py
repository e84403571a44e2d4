"""What plain readers let through, and ours do not: each was a bug once."""

import os
import sys
import time
import zipfile

import numpy as np
import pytest

import official_files
from spos_tf.analysis import plain_pickle
from spos_tf.analysis.plain_pickle import load_torch_file
from spos_tf.errors import UserError, said_of
from spos_tf.plain_arrays import NotPlainError, read_arrays
from spos_tf.space import Architecture
from spos_tf.space.search_space import parse_encoding
from spos_tf.spaces import blueprint_of, build_blueprint, stored_blueprint
from spos_tf.strict_json import parse_json
from spos_tf.training.checkpoints import (
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ('{"a": {"b": 1, "b": 1}}', "'b' stands twice"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("1e999", "beyond all bounds"),
        (str(2**63), "over 64 bits"),
        ("1" * 10_000, "over 64 bits"),
        ('"\\ud800"', "half a character"),
        ('{"\\udc00x": 1}', "half a character"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        (b'"\xff"', "can't decode"),
        ("\ufeff{}", "BOM"),
        ("{", "Expecting"),
    ],
)
def test_json_that_says_nothing_or_two_things(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text)


def test_json_that_is_right():
    text = '{"a": [1, -0.5, true, null, "\\u00e9\\ud83d\\ude00"], "b": {}}'
    expected = {"a": [1, -0.5, True, None, "é😀"], "b": {}}
    assert parse_json(text) == parse_json(text.encode()) == expected
    assert parse_json(str(2**63 - 1)) == 2**63 - 1
    assert parse_json('"\\ud800"', half_characters=True) == "\ud800"


def npz(path, **entries):
    """An NPZ file of raw entries."""
    with zipfile.ZipFile(path, "w") as file:
        for name, data in entries.items():
            file.writestr(f"{name}.npy", data)
    return path


def npy(shape, descr="'<f4'", data=b"\x00" * 64):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"
    header = header.ljust(117) + "\n"
    size = len(header).to_bytes(2, "little")
    return b"\x93NUMPY\x01\x00" + size + header.encode() + data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (npy("(10**12,)".replace("10**12", str(10**12))), "says it has 4,000,"),
        (npy("(-1,)"), "no plain array"),
        (npy("(17,)"), "says it has 68 bytes and has 64"),
        (npy("(16,)", "'|O'"), "holds Python objects"),
        (npy("(16,)", "'<U0'"), "no plain array"),
        (npy("(16,)", "[('a', '<f4')]"), "no plain array"),
        (npy("(16,)", "'<m8'"), "no plain array"),
        (npy("(" * 60), "."),
        (b"\x93NUMPY\x09\x00", r"format \(9, 0\)"),
        (b"no array", "."),
    ],
)
def test_arrays_that_are_none(tmp_path, data, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_arrays(npz(tmp_path / "a.npz", a=data))
    assert isinstance(caught.value, NotPlainError) == ("objects" in message)


def test_arrays_in_every_form(tmp_path):
    arrays = {
        "empty": np.zeros((0, 3), np.int8),
        "scalar": np.array(2.5),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"),
        "text": np.array(["a", "bcd"]),
        "bytes": np.array([b"a", b"bc"]),
        "flags": np.array([True, False]),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = read_arrays(tmp_path / "a.npz")
        assert set(found) == set(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)
            found[name][...] = array  # It can be written to.


def test_a_zip_bomb_and_an_entry_twice(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(100 << 20, np.uint8))
    with pytest.raises(ValueError, match="bytes would grow to 104,857"):
        read_arrays(tmp_path / "a.npz")
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(tmp_path / "b.npz", "w") as file,
    ):
        file.writestr("a.npy", npy("(16,)"))
        file.writestr("a.npy", npy("(16,)"))
    with pytest.raises(ValueError, match="'a' stands twice"):
        read_arrays(tmp_path / "b.npz")


def test_a_pickle_that_asks_for_gigabytes(tmp_path):
    """To remember the object as number 4 billion, or a text as long."""
    path = official_files.write_torch(tmp_path / "a.pth", {}, zipped=False)
    whole = path.read_bytes()
    for program in (
        b"\x80\x02}r\xff\xff\xff\xf0.",
        b"\x80\x04\x8e\x00\x00\x00\x00\x00\xff\x00\x00.",
    ):
        # In place of the facts of the machine, the third pickle.
        start = whole.index(b"\x80\x02}q\x00(X")
        path.write_bytes(whole[:start] + program)
        before = time.perf_counter()
        with pytest.raises(UserError, match="damaged or of another kind"):
            load_torch_file(path)
        # Seconds where memory is taken; far less where it is refused.
        assert time.perf_counter() - before < 60


def test_stand_ins_of_a_pickle_are_not_kept(tmp_path):
    """A pickle that sets an attribute of one changes the next in nothing."""
    # GLOBAL _codecs.encode, BUILD with (None, {"note": list}).
    program = (
        b"\x80\x02c_codecs\nencode\nN}X\x04\x00\x00\x00note"
        b"c__builtin__\nlist\ns\x86b."
    )
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", program)
    assert load_torch_file(path).note is list
    assert not hasattr(plain_pickle._encode, "note")
    data = {"x": np.float64(2.5), "y": b"\xff"}
    official_files.write_torch(path, data, zipped=True)
    assert load_torch_file(path) == data
    assert not hasattr(plain_pickle._allowed()["_codecs", "encode"], "note")


def test_pickles_are_read_where_memory_cannot_be_limited(tmp_path, monkeypatch):
    # As on Windows, where the module does not exist.
    monkeypatch.setitem(sys.modules, "resource", None)
    data = {"x": np.float64(2.5)}
    official_files.write_torch(tmp_path / "a.pth", data, zipped=True)
    assert load_torch_file(tmp_path / "a.pth") == data


@pytest.mark.parametrize("name", ["shufflenet_blocks", "fbnet", "nasbench201"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "x"}, "no argument 'name'"),
        ({"ops": "x"}, "no argument 'ops'"),
        ({"preset": ["demo"]}, r"no preset \['demo'\]"),
        ({"preset": "demo", "stage_repeats": [2, 10**9]}, "up to 1,000,000"),
        ({"preset": "demo", "stage_repeats": [2, 10**5]}, "up to 1,000 blocks"),
        ({"image_size": 10**12}, "image_size takes whole numbers up to"),
        ({"preset": "demo", "stage_strides": [1, True]}, "1 or 2; got True"),
        ({"preset": "demo", "stage_strides": [1, 2.0]}, "1 or 2; got 2.0"),
        ({"dropout": True}, "got True"),
    ],
)
def test_space_arguments_of_a_hostile_file(name, arguments, message):
    with pytest.raises(UserError, match=message):
        stored_blueprint(name, arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precisions": 3}, "list of pairs"),
        ({"widths": [1e300]}, "up to 100"),
        ({"stem_kernel_size": "3"}, "stem_kernel_size takes positive"),
        ({"stem_pool": 1}, "true or false; got 1"),
    ],
)
def test_space_arguments_of_bits(arguments, message):
    with pytest.raises(UserError, match=message):
        build_blueprint("resnet18_bits", preset="demo", **arguments)


def test_an_option_of_true_is_not_one():
    blueprint = build_blueprint("resnet18_bits", preset="demo")
    right = blueprint.architecture([0] * blueprint.search_space.num_choices)
    wrong = {
        name: (True, 2) if option == (1, 2) else option
        for name, option in right.choices.items()
    }
    assert blueprint.encode(right).tolist() == [0] * 6
    with pytest.raises(UserError, match="no option"):
        blueprint.encode(
            Architecture(right.search_space, right.space_arguments, wrong)
        )


def test_a_stored_name_is_not_run(tmp_path):
    path = tmp_path / "evil.py"
    path.write_text(f"open({str(tmp_path / 'trace')!r}, 'w')\n")
    for name in (str(path), f"{path}:make", f"{tmp_path}/x/../evil.py:a"):
        with pytest.raises(UserError, match="trust it, pass `search_space="):
            blueprint_of(Architecture(name, {}, {}))
    with pytest.raises(UserError, match="trust it"):
        stored_blueprint("\x00.py", {})
    assert os.listdir(tmp_path) == ["evil.py"]


@pytest.mark.parametrize("text", ["1_0", "٣", "1,,2", "0x1", "1e1", "1" * 30])
def test_encodings_that_python_reads_and_people_do_not_write(text):
    with pytest.raises(UserError, match="comma-separated"):
        parse_encoding(text)


def test_a_checkpoint_under_the_name_of_another(tmp_path):
    written = Checkpoint(3, {"kind": "supernet"}, {"weights/a": np.zeros(2)})
    path = write_checkpoint(tmp_path, written, keep=1)
    path = path.rename(tmp_path / "step-00000004.npz")
    with pytest.raises(UserError, match="of step 3, not 00000004"):
        read_checkpoint(path)


def test_a_file_is_named_once():
    for text in ("It is wrong.", "File 'a/b' is wrong."):
        with pytest.raises(UserError) as caught, said_of("a/b"):
            raise UserError(text)
        assert str(caught.value).count("a/b") == 1
        assert str(caught.value).endswith(text)
