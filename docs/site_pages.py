"""Makes the pages of the site that stand nowhere else; a hook of MkDocs.

Commands and options are described by their own fields, the Python interface by
its docstrings, saved configurations by their first lines. README.md,
CONTRIBUTING.md, CHANGELOG.md and LICENSE become pages as they are. `make docs`
builds the site.
"""

import inspect
import pathlib
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import spos_tf
from spos_tf import options
from spos_tf.cli.program import COMMANDS, find_command
from spos_tf.options import Option, Options

REPO = pathlib.Path(__file__).resolve().parents[1]

# Files of the repository that are pages, by the name of the page.
TAKEN_IN = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "license.md": "LICENSE",
}

# Public names by what they are for: modules, or rooms, in the order of use.
_GROUPS = {
    "The whole job": (
        "jobs.train_supernet",
        "jobs.search",
        "jobs.train_subnet",
        "jobs.export",
        "jobs",
    ),
    "Images": ("data",),
    "Spaces and networks": ("spaces", "space", "networks", "cost"),
    "Errors": ("errors",),
}
# What the functions return; nobody makes one of these.
_RETURNED = (
    "spos_tf.jobs.trained.TrainedSupernet",
    "spos_tf.jobs.search.SearchResult",
    "spos_tf.jobs.found.FoundNetwork",
    "spos_tf.analysis.trust.Trust",
    "spos_tf.jobs.planning.TrainingPlan",
    "spos_tf.space.candidate.Candidate",
)
_KINDS = {
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "text",
    tuple: "list",
    dict: "JSON object",
}


def generated_pages() -> dict[str, str]:
    """Markdown by the name of the page, of all pages without a file."""
    pages = {f"commands/{name}.md": command_page(name) for name in COMMANDS}
    pages["python.md"] = python_page()
    pages["options.md"] = options_page()
    pages["saved_configs.md"] = saved_configs_page()
    return pages


def command_page(name: str) -> str:
    """What a command does, and all its flags.

    Args:
        name: One of `spos_tf.cli.program.COMMANDS`.
    """
    command = find_command(name)
    lines = [f"# spos {name}", "", _described(command.text)]
    if command.required:
        needed = " and ".join(f"`--{one}`" for one in command.required)
        lines += ["", f"This command needs {needed}."]
    seen: set[str] = set()
    kinds = [k for kind in command.kinds for k in _bases_first(kind)]
    for kind in dict.fromkeys(kinds):
        own = [one for one in _own_options(kind) if one.name not in seen]
        seen |= {one.name for one in own}
        if own:
            title = _summary(kind) or "Flags of this command"
            lines += ["", f"## {title.rstrip('.')}", ""]
            lines += [_entry(one, f"--{one.name}", as_flags) for one in own]
    return "\n".join(lines) + "\n"


def options_page() -> str:
    """The options of the Python interface, each field once."""
    kinds: dict[type[Options], None] = {}
    for name in options.__all__:
        kind = getattr(options, name)
        if name in spos_tf.__all__ and inspect.isclass(kind):
            kinds |= dict.fromkeys(_bases_first(kind))
    lines = [
        "# Options",
        "",
        "Functions take their settings as `options=`, an object of one of the "
        "classes below. All arguments are keywords. Every value is checked "
        "when the object is made. A field has the name of the flag that the "
        "commands have for it.",
    ]
    for kind in kinds:
        bases = [b for b in kind.__bases__ if issubclass(b, Options)]
        also = [b.__name__ for b in bases if b is not Options]
        lines += ["", f"## {kind.__name__}", "", _summary(kind)]
        if also:
            links = " and ".join(f"[{b}](#{b.lower()})" for b in also)
            lines += ["", f"It has all fields of {links} as well."]
        lines += [""]
        lines += [_entry(one, one.name, str) for one in _own_options(kind)]
    return "\n".join([*lines, "", *_recipes()]) + "\n"


def _bases_first(kind: type[Options]) -> list[type[Options]]:
    return [
        base
        for base in reversed(kind.__mro__)
        if issubclass(base, Options) and base is not Options
    ]


def _own_options(kind: type[Options]) -> list[Option]:
    own = inspect.get_annotations(kind)
    return [one for one in kind.described() if one.name in own]


def _recipes() -> list[str]:
    lines = [
        "## Recipes",
        "",
        "Training options that you do not set take these values. The preset "
        "of the search space decides which column applies; a space without "
        "one of these presets takes `imagenet` from 64 pixels on, `cifar` "
        "from 16 and `demo` below.",
    ]
    for trained, presets in options.RECIPES.items():
        names = list(dict.fromkeys(n for r in presets.values() for n in r))
        lines += [
            "",
            f"### For a {trained}",
            "",
            "| option | " + " | ".join(presets) + " |",
            "|---|" + "---|" * len(presets),
            *(
                f"| `{name}` | "
                + " | ".join(str(r.get(name, "")) for r in presets.values())
                + " |"
                for name in names
            ),
        ]
    return lines


def python_page() -> str:
    """All public names, by what they are for."""
    # No name is loaded: that would import TensorFlow.
    modules = {n: spos_tf._MODULES.get(n, "") for n in spos_tf.__all__}
    lines = [
        "# Python interface",
        "",
        "Every name below is imported from `spos_tf`. `import spos_tf` loads "
        "no TensorFlow: a name is loaded when it is first used. Option "
        "classes have [a page of their own](options.md).",
    ]
    for title, rooms in _GROUPS.items():
        found = {
            name: None
            for room in rooms
            for name, module in modules.items()
            if f"{module}.".startswith(f"{room}.")
        }
        lines += ["", f"## {title}", ""]
        lines += [f"::: spos_tf.{name}\n" for name in found]
    lines += ["", "## What the functions return", ""]
    lines += [f"::: {name}\n" for name in _RETURNED]
    return "\n".join(lines)


def saved_configs_page() -> str:
    """The first lines of every saved configuration."""
    lines = [
        "# Saved configurations",
        "",
        "A flag file holds the flags of one run. The package comes with these, "
        "and `--flagfile=saved_configs/...` finds them in any folder. Each "
        "begins with its command, what it costs and what came out.",
    ]
    folder = REPO / "saved_configs"
    for command in sorted(one.name for one in folder.iterdir()):
        lines += ["", f"## {command}"]
        for path in sorted((folder / command).glob("*.flags")):
            text = path.read_text("utf-8")
            head = re.match(r"(?:#.*\n)*", text)
            said = head[0].replace("# ", "", 1) if head else ""
            lines += [
                "",
                f"### {path.stem}",
                "",
                *_commented(said),
                "",
                "```",
                text.removeprefix(head[0] if head else "").strip(),
                "```",
            ]
    return "\n".join(lines) + "\n"


def _commented(text: str) -> Iterable[str]:
    """Comment lines as a list; an indented line continues the one before."""
    joined = re.sub(r"\n# {2,}", " ", f"\n{text}")
    for line in joined.strip().splitlines():
        name, colon, rest = line.removeprefix("# ").partition(": ")
        # In a clone it is a tool, wherever the package is a command.
        command = re.sub(r"^python tools/(\w+)\.py", r"spos \1", rest)
        said = f"`{command}`" if name == "Command" else _marked(rest)
        yield f"- **{name}**: {said}" if colon else f"- {_marked(line)}"


def _described(text: str) -> str:
    """A command's help as Markdown."""
    parts = []
    for block in inspect.cleandoc(text).split("\n\n"):
        if block.startswith(("Example:\n", "Examples:\n")):
            code = textwrap.dedent(block.partition("\n")[2])
            parts.append(f"```\n{code}\n```")
        else:
            parts.append(as_flags(_marked(block)))
    return "\n\n".join(parts)


def _entry(one: Option, name: str, spelled: Callable[[str], str]) -> str:
    """An option as an item of a definition list."""
    facts = [
        " \\| ".join(f"`{choice}`" for choice in one.choices)
        or _KINDS[one.kind]
    ]
    facts += _range(one)
    if one.about.from_recipe:
        facts.append("default: see [recipes](RECIPES)")
    elif one.default not in (None, ()):
        default = one.default
        shown = str(default).lower() if isinstance(default, bool) else default
        if isinstance(shown, tuple):
            shown = ",".join(shown)
        facts.append(f"default: `{shown}`")
    text = spelled(_marked(one.full_help()))
    if not one.about.decides_result and one.about.effect == "free":
        text += " You can resume a run with another value."
    page = "../options.md" if name.startswith("--") else ""
    said = ", ".join(facts).replace("RECIPES", f"{page}#recipes")
    return f"**`{name}`** ({said})\n:   {text}\n"


def _range(one: Option) -> list[str]:
    about = one.about
    words = {
        "at least": about.least,
        "above": about.above,
        "at most": about.most,
        "below": about.below,
    }
    return [f"{word} {v:,}" for word, v in words.items() if v is not None]


def _summary(kind: type[Options]) -> str:
    """The first paragraph of a class; empty where nobody wrote one."""
    text = inspect.getdoc(kind) or ""
    # A dataclass without a docstring gets its signature for one.
    if text.startswith(f"{kind.__name__}("):
        return ""
    return _marked(text.split("\n\n")[0])


def _page_title(name: str) -> str:
    """The title of a page of docs/.

    >>> _page_title("glossary")
    'Glossary'
    """
    text = (REPO / "docs" / f"{name}.md").read_text("utf-8")
    return text.partition("\n")[0].removeprefix("# ")


def site_docstring(text: str) -> str:
    r"""A docstring with links to pages, and examples that griffe knows.

    It takes a section "Example" for a box of text, in which `>>>` is a quote.

    >>> site_docstring("See docs/glossary.md.\n\nExample:\n    >>> 1")
    'See [Glossary](glossary.html).\n\nExamples:\n    >>> 1'
    """
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.M)
    return re.sub(
        r"`?\bdocs/(\w+)\.md\b`?",
        lambda match: f"[{_page_title(match[1])}]({match[1]}.html)",
        text,
    )


def _marked(text: str) -> str:
    r"""A plain text as Markdown: only code and the names of pages stand out.

    >>> _marked("a_b <c> `d_e`, see docs/trust.md")
    'a\\_b &lt;c> `d_e`, see [How far to trust a search](/docs/trust.md)'
    """
    parts = text.split("`")
    for index in range(0, len(parts), 2):
        plain = re.sub(r"([*_|\[])", r"\\\1", parts[index])
        plain = plain.replace("<", "&lt;")
        parts[index] = re.sub(r"\bdocs/([\w\\]+)\.md\b", _link_of_name, plain)
    return "`".join(parts)


def _link_of_name(match: re.Match[str]) -> str:
    name = match[1].replace("\\", "")
    return f"[{_page_title(name)}](/docs/{name}.md)"


def as_flags(text: str) -> str:
    r"""Marked text with its flags as code.

    >>> as_flags(r"With --measure\_latency, or `spos x --limits`.")
    'With `--measure_latency`, or `spos x --limits`.'
    """
    parts = text.split("`")
    for index in range(0, len(parts), 2):
        parts[index] = re.sub(
            r"--[a-z0-9\\_]+(=[\w\\/*.]*\w)?",
            lambda match: f"`{match[0]}`".replace("\\", ""),
            parts[index],
        )
    return "`".join(parts)


def site_links(text: str, page: str) -> str:
    """Links of a page of the repository as the site has them.

    Args:
        text: Markdown.
        page: Name of the page on the site.

    >>> site_links("[a](docs/b.md) and [c](CONTRIBUTING.md#d)", "index.md")
    '[a](b.md) and [c](contributing.md#d)'
    >>> site_links("[a](/docs/b.md)", "commands/x.md")
    '[a](../b.md)'
    """
    up = "../" * page.count("/")
    pages = {source: name for name, source in TAKEN_IN.items()}

    def place(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        path = target.removeprefix("../").removeprefix("/")
        if path in pages:
            return f"]({up}{pages[path]}{anchor})"
        if path.startswith("docs/"):
            return f"]({up}{path.removeprefix('docs/')}{anchor})"
        return match[0]

    return re.sub(r"\]\(([\w./-]+)(#[\w-]+)?\)", place, text)


def on_config(config: Any) -> None:
    """Fills in the list of commands."""
    for section in config.nav:
        for entries in section.values():
            for entry in entries:
                if isinstance(entry, Mapping) and "Commands" in entry:
                    entry["Commands"] = [
                        {name: f"commands/{name}.md"} for name in COMMANDS
                    ]


def on_files(files: Any, config: Any) -> None:
    """Adds the pages that are not in docs/."""
    from mkdocs.structure.files import File

    pages = generated_pages()
    for page, source in TAKEN_IN.items():
        text = (REPO / source).read_text("utf-8")
        pages[page] = text if source.endswith(".md") else f"```\n{text}```\n"
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))


def on_page_markdown(text: str, page: Any, **_: Any) -> str:
    """Points links to where the site has their targets."""
    return site_links(text, page.file.src_uri)
