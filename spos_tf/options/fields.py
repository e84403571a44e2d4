"""What an option is: a field with type, default, range and help."""

import dataclasses
import difflib
import json
import math
import operator
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, Self

from spos_tf.errors import UnknownOption, UserError
from spos_tf.paths import check_text, local_path

# Options that say where files are or what a run is called.
PLACE = "place"
# Options that cannot change the result: a run can be resumed with others.
FREE = "free"
# Options that can change the result.
RESULT = "result"


@dataclasses.dataclass(frozen=True)
class About:
    """What is known of an option besides its name, type and default.

    Attributes:
        help: A sentence or two for people.
        least: Smallest value, inclusive.
        most: Largest value, inclusive.
        above: All values are greater.
        below: All values are smaller.
        effect: Whether the option decides the result, where files are, or
            nothing that lasts.
        from_recipe: Whether None stands for the recipe's value.
        belongs_to: Name of the option that has to have a certain value.
        defaults: By that value, what None stands for.
        repeated: Whether a list is given by repeating the flag, and not with
            commas.
    """

    help: str
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    effect: str = RESULT
    from_recipe: bool = False
    belongs_to: str | None = None
    defaults: Mapping[Any, Any] = dataclasses.field(default_factory=dict)
    repeated: bool = False

    @property
    def decides_result(self) -> bool:
        """Whether a run with another value is another run."""
        return self.effect == RESULT


class Option(NamedTuple):
    """A field of an options class.

    Attributes:
        name: Of the field.
        kind: `int`, `float`, `bool`, `str`, `tuple` (of texts) or `dict`.
        choices: The values of an enumeration, else empty.
        default: None where it is decided later.
        about: Everything else.
    """

    name: str
    kind: type
    choices: tuple[str, ...]
    default: Any
    about: About

    def full_help(self) -> str:
        """The help text with default rules that stand nowhere else."""
        about = self.about
        text = about.help
        if about.belongs_to is not None:
            cases = [
                f"{about.belongs_to}={value}"
                + ("" if default is None else f" (default {default})")
                for value, default in about.defaults.items()
            ]
            text = f"{text} Only with {' or '.join(cases)}."
        if about.from_recipe:
            text = f"{text} If unset, the preset's recipe decides."
        return text


def option(default: Any, text: str, **about: Any) -> Any:
    """A field of an options class; see `About` for the keywords."""
    field: Any = dataclasses.field(
        default=default, metadata={"about": About(text, **about)}
    )
    return field


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Base of all options: every value is checked when the object is made.

    Raises:
        UserError: There is no option of a name, a value has another type or
            is out of its range, or an option is given that belongs to another
            choice.
    """

    def __new__(cls, *_: Any, **given: Any) -> Self:
        # Before the class's own __init__, whose words are Python's.
        names = [field.name for field in dataclasses.fields(cls)]
        for name in given:
            if name not in names:
                close = difflib.get_close_matches(name, names, 1)
                meant = f" Did you mean `{close[0]}`?" if close else ""
                raise UnknownOption(f"There is no option `{name}` here.{meant}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for one in self.described():
            value = getattr(self, one.name)
            if value is not None:
                object.__setattr__(self, one.name, _checked(one, value))
        for one in self.described():
            self._check_belongs(one)

    def _check_belongs(self, one: Option) -> None:
        value, owner = getattr(self, one.name), one.about.belongs_to
        if value is None or owner is None or value == one.default:
            return
        chosen = getattr(self, owner)
        if chosen not in one.about.defaults:
            owners = " or ".join(
                _setting(owner, wanted) for wanted in one.about.defaults
            )
            raise UserError(
                f"`{one.name}` belongs to {owners}; got "
                f"`{one.name}={value}` with {_setting(owner, chosen)}. Leave "
                f"it out, or choose {owners}."
            )

    @classmethod
    def described(cls) -> Iterator[Option]:
        """All options of the class, in the order of their definition."""
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            kind, choices = _kind(hints[field.name])
            yield Option(
                field.name,
                kind,
                choices,
                field.default,
                field.metadata["about"],
            )

    @classmethod
    def of(cls, other: "Options", **changes: Any) -> Self:
        """An object of this class with the values of another one.

        Args:
            other: Options that this class does not have are left out.
            **changes: Values that replace the other's.
        """
        names = {one.name for one in cls.described()}
        given = {
            one.name: getattr(other, one.name)
            for one in other.described()
            if one.name in names
        }
        return cls(**{**given, **changes})

    def complete(self) -> Self:
        """The same with what None stands for where an option belongs to one."""
        filled = {}
        for one in self.described():
            about = one.about
            if about.belongs_to is None or getattr(self, one.name) is not None:
                continue
            chosen = getattr(self, about.belongs_to)
            if chosen in about.defaults:
                filled[one.name] = about.defaults[chosen]
        return dataclasses.replace(self, **filled)

    def with_recipe(self, recipe: Mapping[str, Any]) -> Self:
        """The same with a recipe's values where nothing was given.

        Args:
            recipe: Values by name; those of other options are left out.
        """
        names = {o.name for o in self.described() if o.about.from_recipe}
        filled = {
            name: value
            for name, value in recipe.items()
            if name in names and getattr(self, name) is None
        }
        return dataclasses.replace(self, **filled)

    def to_dict(self) -> dict[str, Any]:
        """JSON values by name, as `run.json` holds them."""
        return {
            one.name: _plain(getattr(self, one.name))
            for one in self.described()
        }


def flag_lines(
    values: Mapping[str, Any], described: Iterable[Option]
) -> list[str]:
    """A flag file's lines for options, by which a run can be repeated.

    Args:
        values: As `Options.to_dict` gives them; None is left out.
        described: Which options, in which order.

    >>> from spos_tf.options import TrainingOptions
    >>> flag_lines({"steps": 5, "deterministic": False},
    ...            TrainingOptions.described())
    ['--steps=5', '--nodeterministic']
    """
    lines = []
    for one in described:
        value = values.get(one.name)
        if value is None:
            continue
        if one.kind is bool:
            lines.append(f"--{'' if value else 'no'}{one.name}")
        elif one.kind is dict:
            lines.append(f"--{one.name}={json.dumps(value)}")
        elif one.kind is tuple and one.about.repeated:
            lines += [f"--{one.name}={text}" for text in value]
        elif one.kind is tuple:
            lines.append(f"--{one.name}={','.join(value)}")
        else:
            lines.append(f"--{one.name}={value}")
    return lines


def _setting(name: str, value: Any) -> str:
    return f"`{name}={str(value).lower() if value in (True, False) else value}`"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _kind(hint: Any) -> tuple[type, tuple[str, ...]]:
    """The plain type of an annotation, and an enumeration's values."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is (
        typing.Union
    ):
        (hint,) = (
            one for one in typing.get_args(hint) if one is not types.NoneType
        )
    origin = typing.get_origin(hint)
    if origin is Literal:
        return str, typing.get_args(hint)
    if origin is not None:
        return (dict if issubclass(origin, Mapping) else origin), ()
    return hint, ()


_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    tuple: "a list of texts",
    dict: "a JSON object",
}


def _checked(one: Option, value: Any) -> Any:
    """The value as the option keeps it.

    Raises:
        UserError: It is of another type, or out of its range.
    """
    fits, value = _converted(one.kind, value)
    if not fits:
        quoted = ""
        if one.kind is str and isinstance(value, int | float):
            quoted = f" Put it in quotes: {str(value)!r}."
        raise UserError(
            f"`{one.name}` is {_WORDS[one.kind]}; got {value!r}.{quoted}"
        )
    if one.choices and value not in one.choices:
        raise UserError(
            f"`{one.name}` is one of {', '.join(one.choices)}; got {value!r}."
        )
    about = one.about
    for text in _texts(value):
        check_text(text, one.name)
        if about.effect == PLACE:
            local_path(text, one.name)
    if one.kind not in (int, float):
        return value
    limits = [
        (word, limit, holds)
        for word, limit, holds in (
            ("at least", about.least, operator.ge),
            ("above", about.above, operator.gt),
            ("at most", about.most, operator.le),
            ("below", about.below, operator.lt),
        )
        if limit is not None
    ]
    inside = all(holds(value, limit) for _, limit, holds in limits)
    if not inside or not math.isfinite(value):
        rule = " and ".join(f"{word} {limit}" for word, limit, _ in limits)
        raise UserError(f"`{one.name}` is {rule or 'finite'}; got {value}.")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return value if isinstance(value, tuple) else ()


def _converted(kind: type, value: Any) -> tuple[bool, Any]:
    if kind is bool:
        return isinstance(value, bool), value
    if isinstance(value, bool):
        return False, value
    if kind is int:
        # NumPy's integers too.
        whole = hasattr(value, "__index__")
        return whole, int(value) if whole else value
    if kind is float:
        number = isinstance(value, int | float) or hasattr(value, "__float__")
        return number, float(value) if number else value
    if kind is tuple:
        listed = isinstance(value, list | tuple)
        texts = listed and all(isinstance(one, str) for one in value)
        return texts, tuple(value) if texts else value
    if kind is dict:
        return isinstance(value, Mapping), value
    return isinstance(value, kind), value
