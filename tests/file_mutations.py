"""Spoils files in every way that `qa/fuzz.py` and the tests try.

All is drawn from a `random.Random`, so a seed gives the same files again.
"""

import codecs
import functools
import io
import json
import pickle
import random
import warnings
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import yaml

# What replaces a value: other types, and numbers at and beyond their ends.
_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    7,
    0.5,
    -0.0,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    2**31,
    2**63,
    -(2**63) - 1,
    10**30,
    10**400,
    "",
    "3x3",
    "<script>alert(1)</script>",
    "../../escape",
    "evil.py:make",
    "\ud800",
    "\x00",
    "x" * 5000,
    [],
    {},
    [[0]],
    [None, "x"],
    {"a": {"b": []}},
)


class Trap:
    """Leaves a file where it is unpickled by Python's own reader."""

    path = "unpickled"

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def mutate(
    content: bytes,
    rng: random.Random,
    *,
    kind: str,
    others: Sequence[bytes] = (),
) -> tuple[str, bytes]:
    """Spoils a file once, and sometimes again.

    Args:
        content: A right file.
        rng: Decides everything.
        kind: `json`, `lines` (a JSON object a line), `yaml`, `npz`, `zip` (of
            JSON and other entries), `text` or `bytes`.
        others: Right files of other kinds.

    Returns:
        What was done, in words, and the spoilt file; it may be a right one
        that says something else.
    """
    of_kind = {
        "json": _in_json,
        "lines": _in_lines,
        "yaml": _in_yaml,
        "npz": _in_npz,
        "zip": _in_zip,
        "text": _in_text,
        "bytes": _in_bytes,
    }[kind]
    ways: list[Callable[..., tuple[str, bytes]]] = [of_kind, of_kind, _in_bytes]
    if kind not in ("npz", "zip", "bytes"):
        ways.append(_encoded)
    if others and rng.random() < 0.04:
        return "another file", rng.choice(others)
    done = []
    for _ in range(1 if rng.random() < 0.8 else 2):
        try:
            words, content = rng.choice(ways)(content, rng)
        # What was spoilt already may not be of its kind any more.
        except Exception:
            words, content = _in_bytes(content, rng)
        done.append(words)
    return ", ".join(done), content


def _in_bytes(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    at = rng.randrange(len(content) + 1)
    end = min(len(content), at + rng.randrange(1, 40))
    way = rng.randrange(8)
    if way == 0:
        return "cut off", content[:at]
    if way == 1 and content:
        spoilt = bytearray(content)
        for _ in range(rng.choice((1, 1, 2, 8))):
            spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
        return "bits flipped", bytes(spoilt)
    if way == 2:
        noise = rng.randbytes(rng.choice((1, 2, 16, 300)))
        return "bytes put in", content[:at] + noise + content[at:]
    if way == 3:
        return "bytes left out", content[:at] + content[end:]
    if way == 4:
        return "bytes doubled", content[:end] + content[at:]
    if way == 5:
        return "empty", rng.choice((b"", b"\n", b" ", b"\x00" * 100))
    if way == 6:
        return "noise", rng.randbytes(rng.randrange(1, 2000))
    return "without its beginning", content[at:]


def _encoded(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    text = content.decode("utf-8")
    name = rng.choice(("utf-16", "utf-8-sig", "utf-32", "crlf", "cr", "e"))
    if name == "crlf":
        return name, content.replace(b"\n", b"\r\n")
    if name == "cr":
        return name, content.replace(b"\n", b"\r")
    if name == "e":
        return "latin-1", content.replace(b"e", b"\xe9", 1)
    return name, codecs.encode(text, name)


def _in_json(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    value = json.loads(content)
    way = rng.random()
    if way < 0.1:
        return _doubled_key(value, rng)
    if way < 0.15:
        depth = rng.choice((50, 900, 100_000))
        opened, closed = rng.choice((("[", "]"), ('{"a":', "}")))
        return "nested deeply", (opened * depth + "0" + closed * depth).encode()
    words, value = _changed(value, rng)
    return words, json.dumps(value, indent=2).encode()


def _doubled_key(value: Any, rng: random.Random) -> tuple[str, bytes]:
    key = rng.choice(list(value))
    text = json.dumps(value)
    further = json.dumps({key: rng.choice(_VALUES[:9])})
    return "a key twice", (text[:-1] + ", " + further[1:]).encode()


def _in_lines(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    lines = content.splitlines()
    at = rng.randrange(len(lines))
    way = rng.randrange(5)
    if way == 0:
        words = "a line twice"
        lines.insert(rng.randrange(len(lines)), lines[at])
    elif way == 1:
        words = "a line left out"
        del lines[at]
    elif way == 2:
        words = "lines in another order"
        rng.shuffle(lines)
    else:
        words, lines[at] = _in_json(lines[at], rng)
        lines[at] = lines[at].replace(b"\n", b"")
    return words, b"\n".join([*lines, b""])


def _in_yaml(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    way = rng.random()
    if way < 0.1:
        laughs = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        laughs += [
            f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]"
            for i in range(1, 12)
        ]
        return "aliases", "\n".join([*laughs, content.decode()]).encode()
    if way < 0.2:
        tag = rng.choice(
            (
                "!!python/object/apply:os.system ['touch unpickled']",
                "!!python/name:os.system",
                "!!timestamp x",
                "!!map [1]",
                "!!binary x",
            )
        )
        return "a tag", content + f"\nmore: {tag}\n".encode()
    # Spoilt once it may be a bomb.
    assert b"*a0" not in content
    words, value = _changed(yaml.load(content, yaml.CSafeLoader), rng)
    return words, yaml.dump(
        value, Dumper=yaml.CSafeDumper, default_flow_style=None
    ).encode()


def _in_text(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    lines = content.splitlines()
    at = rng.randrange(len(lines))
    way = rng.randrange(6)
    if way == 0:
        words = "a line twice"
        lines.insert(rng.randrange(len(lines)), lines[at])
    elif way == 1:
        words = "a line left out"
        del lines[at]
    elif way == 2:
        words = "lines in another order"
        rng.shuffle(lines)
    elif way == 3:
        words = "a separator"
        sign = rng.choice(b',="; |')
        place = rng.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:place] + bytes([sign]) + lines[at][place:]
    else:
        words = "another value"
        start, sign, _ = lines[at].partition(b"=")
        if not sign:
            start, sign, _ = lines[at].rpartition(b",")
        value = str(rng.choice(_VALUES[:28])).encode("utf-8", "replace")
        lines[at] = start + sign + value
    return words, b"\n".join([*lines, b""])


def _changed(value: Any, rng: random.Random) -> tuple[str, Any]:
    """Changes one place of parsed JSON, `value` itself if need be."""
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one))
        for key in keys:
            places.append((one, key))
            if isinstance(one[key], (dict, list)) and one[key]:
                waiting.append(one[key])
    if not places or rng.random() < 0.03:
        return "another value as a whole", rng.choice(_VALUES)
    parent, key = rng.choice(places)
    way = rng.randrange(8)
    if way == 0 and isinstance(parent, dict):
        parent[f"{key}x" if rng.random() < 0.5 else ""] = parent.pop(key)
        return "a key renamed", value
    if way == 1:
        del parent[key]
        return "a part left out", value
    if way == 2 and isinstance(parent, dict):
        name = rng.choice(("more", "name", "ops", "preset", "__class__"))
        parent[name] = rng.choice(_VALUES)
        return "a key more", value
    if way == 3 and isinstance(parent[key], (int, float)):
        factor = rng.choice((-1, 10, 1.5, 1e9, 0))
        parent[key] = parent[key] * factor
        return "another number", value
    if way == 4:
        parent[key] = str(parent[key])
        return "as text", value
    if way == 5:
        other, place = rng.choice(places)
        parent[key] = json.loads(json.dumps(other[place]))
        return "a value from elsewhere", value
    parent[key] = rng.choice(_VALUES)
    return "another value", value


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    # Spoilt once it may be a bomb.
    assert content != _bomb()
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return dict(file)


def _saved(arrays: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


@functools.cache
def _bomb() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, arch_str=np.zeros(100 << 20, np.uint8))
    return stream.getvalue()


def _in_npz(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    arrays: dict[str, Any] = _arrays(content)
    name = rng.choice(list(arrays))
    old = arrays[name]
    way = rng.randrange(13)
    if way < 3 and "description.json" in arrays:
        words, text = _in_json(str(arrays["description.json"]).encode(), rng)
        arrays["description.json"] = np.array(text.decode())
    elif way == 3:
        words = "an array left out"
        del arrays[name]
    elif way == 4:
        words = "an array renamed"
        arrays[name + "x"] = arrays.pop(name)
    elif way == 5:
        words = "another shape"
        arrays[name] = old.reshape(-1)[: max(0, old.size - 1)]
    elif way == 6:
        words = "another type"
        kind = rng.choice(("float16", "int8", "bool", "U7", "S3", "complex64"))
        arrays[name] = old.astype(kind)
    elif way == 7:
        words = "Python objects"
        arrays[name] = np.array([Trap()] * max(1, old.size), object)
    elif way == 8:
        words = "not finite"
        if old.dtype.kind == "f":
            old = old.copy()
            old.flat[0] = rng.choice((np.nan, np.inf, 1e38))
        arrays[name] = old
    elif way == 9:
        return "a header of 10^12", _headed(arrays, name, rng)
    elif way == 10:
        return "a zip bomb", _bomb()
    elif way == 11:
        words = "a pickle instead"
        return words, pickle.dumps(Trap())
    else:
        return "an entry twice", _twice(content, name)
    return words, _saved(arrays)


def _headed(
    arrays: dict[str, np.ndarray], name: str, rng: random.Random
) -> bytes:
    shape = rng.choice(
        ("(1000000000000,)", "(-1,)", "(2, 99999999999999999999)", "('a',)")
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for other, array in arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, array, allow_pickle=False)
            data = entry.getvalue()
            if other == name:
                header = (
                    f"{{'descr': '<f4', 'fortran_order': False, "
                    f"'shape': {shape}, }}"
                ).encode()
                header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
                size = len(header).to_bytes(2, "little")
                data = b"\x93NUMPY\x01\x00" + size + header + b"\x00" * 64
            file.writestr(f"{other}.npy", data)
    return stream.getvalue()


def _twice(content: bytes, name: str) -> bytes:
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        entry = io.BytesIO()
        np.lib.format.write_array(entry, np.zeros(3), allow_pickle=False)
        file.writestr(f"{name}.npy", entry.getvalue())
    return stream.getvalue()


def _in_zip(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    name = rng.choice(list(entries))
    way = rng.randrange(5)
    if way == 0:
        words = "an entry left out"
        del entries[name]
    elif way == 1:
        words = "an entry more"
        entries[rng.choice(("../x", "/etc/x", "assets/x", "x"))] = b"x"
    elif way == 2:
        words = "an entry renamed"
        entries[name + "x"] = entries.pop(name)
    elif name.endswith(".json"):
        words, entries[name] = _in_json(entries[name], rng)
    else:
        words, entries[name] = _in_bytes(entries[name], rng)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return words, stream.getvalue()
