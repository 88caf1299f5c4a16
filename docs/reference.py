"""Writes docs/reference.md from the code: `python docs/reference.py`; a test fails when the page is not fresh."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import policy
from policy.checks.codes import CODES
from policy.commands import COMMANDS, parser_for
from policy.commands.cluster import CODES as EXAMINED
from policy.commands.health.finding import CODES as ILLS
from policy.commands.help import options_of
from policy.config.cases import EXPECT
from policy.config.cases import GIVEN as EVERY_FACT
from policy.config.layers import DIRECTORIES, LAYERS, RIGHTS
from policy.config.read import BUILT_IN, SETTINGS
from policy.config.read import KEYS as FILE_KEYS
from policy.config.schema import BEYOND
from policy.manual import EXIT_CODES, RUN_EXIT_CODES
from policy.render.effective import written
from policy.rules import globs
from policy.rules.conditions import CONDITIONS, Combinator, toml
from policy.rules.hints import meanings
from policy.rules.rule import KEYS as RULE_KEYS
from policy.rules.shapes import PATHS, TEXTS
from policy.rules.supposition import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from policy.commands.reading import Option

PAGE = Path(__file__).with_name("reference.md")
OUTPUTS = Path(policy.__file__).parent.parent / "schemas" / "outputs"

VARIABLES = {
    "LOCK_POLICY_CONFIG_FILE": "Read this file alone, as `--config-file` does.",
    "LOCK_POLICY_NO_CONFIG": "A boolean: read no file at all, as `--no-config` does.",
    "LOCK_POLICY_TIMEOUT": "Seconds to wait for a lock, before whatever the files say; `--timeout` stands before it.",
    "LOCK_POLICY_GLOBAL_DIR": "Directory of the global locks, likewise; `--global-dir` stands before it.",
    "LOCK_POLICY_CLUSTER_SERVICE": "The libpq service of the server that keeps locks for several hosts, in place of "
    "the address in `[cluster]`; `--cluster-service` stands before it.",
    "LOCK_POLICY_MAX_SIZE": "How many bytes a configuration file may have; 262144 unless set.",
    "LOCK_POLICY_SHIMS": "A boolean: if false, the shims of `policy shims` start the real programs without a lock.",
    "LOCK_POLICY_LOG": "A file that gets a line of JSON for each wait, acquisition, timeout, release and loss of a "
    "lock; at 16 MiB it becomes FILE.1. What cannot be written at once is left out. Nothing is written at the end of a "
    "command that `policy run` has become.",
    "LOCK_POLICY_ENVIRONMENT": "Set by `policy run` for its command: the environment that is locked; not for people.",
    "LOCK_POLICY_HELD": "Set by `policy run` for its command, so that a nested one joins its locks; not for people.",
}


def page() -> str:
    """The whole page."""
    sections = [
        "# Reference\n\n<!-- Made by `python docs/reference.py`; what is changed by hand is lost. -->",
        _files(),
        _schema(),
        _layers(),
        _cluster(),
        _rules(),
        _conditions(),
        _patterns(),
        _built_in(),
        _tests(),
        _commands(),
        _table(
            "Findings of `policy check`",
            ("code", "severity", "meaning"),
            [(f"`{code.name}`", code.severity, code.summary) for code in CODES.values()],
            "`policy rule CODE` shows an example of each, and what to do. It knows the codes of the next tables, too.",
        ),
        _table(
            "Findings of `policy doctor`", ("code", "meaning"), [(f"`{code}`", text) for code, text in ILLS.items()]
        ),
        _table(
            "Findings of `policy cluster status`",
            ("code", "meaning"),
            [(f"`{code}`", text) for code, text in EXAMINED.items()],
        ),
        _table(
            "Hints of `policy explain`",
            ("hint", "given for"),
            [(f"`{hint}`", text) for hint, text in meanings().items()],
        ),
        _outputs(),
        _exit_codes(),
        _table(
            "Environment variables", ("variable", "meaning"), [(f"`{name}`", text) for name, text in VARIABLES.items()]
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _files() -> str:
    intro = (
        "In `lock-policy.toml`, or under `[tool.lock-policy]` in `pyproject.toml`. "
        "`policy schema` prints the JSON Schema, `policy show` what all files come to."
    )
    rows = [(f"`{name}`", _type(shape.schema), _notes(shape.schema)) for name, shape in FILE_KEYS.items()]
    return _table("Files", ("key", "value", "meaning"), rows, intro)


def _schema() -> str:
    intro = "The schema and the reader refuse the same files, except for what a schema cannot say:"
    return _table("What the schema cannot say", ("the reader refuses", "because"), list(BEYOND.items()), intro)


def _layers() -> str:
    found = [layer.name for layer in LAYERS if layer.files or layer.find]
    settings = ", ".join(f"`{name}`" for name in SETTINGS)
    intro = (
        f"The files of all layers are read: {', then '.join(found)}; what --config-file names stands alone. The rules "
        f"of all of them are tried in that order, and of a single setting ({settings}) the first that has it wins. "
        "`mandatory` rules stand before all others."
    )
    rows = []
    for layer in LAYERS:
        rights = "; ".join(text for right, text in RIGHTS.items() if right in layer.may)
        rows.append((f"`{layer.name}`", layer.title, DIRECTORIES[layer.directory], rights or "nothing"))
    return _table("Layers", ("layer", "file", "its `global-dir` is", "it may also"), rows, intro)


def _cluster() -> str:
    properties = FILE_KEYS["cluster"].schema["properties"]
    rows = [(f"`{name}`", _type(schema), _notes(schema)) for name, schema in properties.items()]
    intro = (
        "Where locks for several hosts are kept: `service`, or `host` and what else libpq needs to find it. Secrets "
    )
    intro += "are read by libpq alone: from PGPASSFILE, PGPASSWORD or a certificate."
    return _table("Cluster", ("key of `[cluster]`", "value", "meaning"), rows, intro)


def _rules() -> str:
    rows = [(f"`{name}`", _type(shape.schema), _notes(shape.schema)) for name, shape in RULE_KEYS.items()]
    return _table("Rules", ("key of `[[rules]]`", "value", "meaning"), rows)


def _conditions() -> str:
    intro = "The keys of `match`; all of them must hold. A list means any of its items."
    rows = []
    for key, condition in CONDITIONS.items():
        if isinstance(condition, Combinator):
            kind, about = ("match table" if key == "not" else "list of match tables"), ""
        else:
            kind = _PATTERNS.get(condition.shape) or _type(condition.shape.schema)
            about = "caller" if condition.caller else "environment"
        rows.append((f"`{key}`", kind, condition.help + _examples(condition.examples), about))
    return _table("Conditions", ("key of `match`", "value", "meaning", "asks about"), rows, intro)


_PATTERNS = {PATHS: "path pattern, or list of them", TEXTS: "pattern, or list of them"}


def _patterns() -> str:
    """What the module that compiles patterns says of them."""
    told = (globs.__doc__ or "").partition("Path patterns:")[2].partition("No pattern takes")[0]
    told = told.replace("Paths are compared in the form that `paths.normal` gives them.\n\n", "")
    return f"## Patterns\n\nPath patterns:{told}".rstrip()


def _built_in() -> str:
    rows = []
    for rule in BUILT_IN:
        wants = [f"`{key} = {written(value)}`" for key, value in toml(rule.match).items()]
        rows.append((f"`{rule.name}`", " and ".join(wants) or "always", " and ".join(rule.lock), rule.reason))
    return _table(
        "Built-in rules", ("name", "matches", "lock", "because"), rows, "They follow every file, in this order."
    )


def _tests() -> str:
    expected = EXPECT.schema["properties"]
    intro = (
        "Each of the `[[tests]]` has a `name`, the facts that are `given`, and the result to `expect`: "
        + " and ".join(f"`{name}` ({_type(schema)})" for name, schema in expected.items())
        + ". They run against the rules of their own file, which the built-in ones follow. Nothing of this machine is "
        "looked at: a fact that is not given has the value below. Where only an interpreter or only a root is given, "
        "the other follows from it, as in a virtual environment. A system interpreter is its own base, and so is the "
        "one that stands behind `--target` and `--prefix`. `~` is `home`."
    )
    rows = [(f"`{key}`", _type(EVERY_FACT.schema["properties"][key]), _fact(value)) for key, value in DEFAULTS.items()]
    return _table("Tests", ("key of `given`", "value", "where it is not given"), rows, intro)


def _fact(value: Any) -> str:
    if value in {"", ()}:
        return "nothing"
    return f"`{written(value)}`"


def _commands() -> str:
    return "\n\n".join(["## Commands", *map(_command, COMMANDS)])


def _command(name: str) -> str:
    parser = parser_for(name)
    rows = [(f"`{option.value}`", option.help) for option in parser.positionals]
    rows += [(_spelled(option), option.help) for option in options_of(parser) if option not in parser.common.options]
    title = f"### `policy {name}`\n\n{parser.description}"
    return f"{title}\n\n{_rows(('option', 'meaning'), rows)}" if rows else title


def _spelled(option: Option) -> str:
    return ", ".join(f"`{f'{name} {option.value}'.strip()}`" for name in option.names)


def _outputs() -> str:
    """The schemas of what commands print as JSON."""
    rows = []
    for file in sorted(OUTPUTS.glob("*.schema.json")):
        schema = json.loads(file.read_text(encoding="utf-8"))
        command = schema["title"].partition(" --output-format")[0]
        version = schema.get("properties", {}).get("version", {}).get("const", "")
        rows.append((f"`{command}`", str(version), schema["description"], f"`schemas/outputs/{file.name}`"))
    return _table(
        "JSON outputs",
        ("command", "version", "holds", "JSON Schema"),
        rows,
        "What `--output-format json` prints. The version changes when a key is removed or means something else; keys "
        "may be added without that, so a program lets those be that it does not know.",
    )


def _exit_codes() -> str:
    rows = [(f"`{code}`", text) for code, text in EXIT_CODES.items()]
    run = [(f"`{code}`" if code.isdigit() else code, text) for code, text in RUN_EXIT_CODES.items()]
    return (
        f"{_table('Exit codes', ('code', 'meaning'), rows)}\n\n"
        f"`policy run` follows env(1) and timeout(1):\n\n{_rows(('code', 'meaning'), run, 'exit')}"
    )


def _type(schema: Any) -> str:
    """A JSON Schema in a few words."""
    if "enum" in schema:
        return " or ".join(f'`"{name}"`' for name in schema["enum"])
    if "anyOf" in schema and "type" not in schema:
        return ", or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    return _PLAIN[schema["type"]](schema) if "type" in schema else "match table"


def _list(schema: Any) -> str:
    inner = _type(schema["items"])
    return f"list of {inner}s" if inner == "table" else "list of them"


def _table_of(schema: Any) -> str:
    more = schema.get("additionalProperties")
    return f"table of {_type(more)}" if more else "table"


_PLAIN: dict[str, Callable[[Any], str]] = {
    "array": _list,
    "object": _table_of,
    "number": lambda schema: f"seconds, {schema['minimum']:g} to {schema['maximum']:g}",
    "integer": lambda schema: f"{schema['minimum']} to {schema['maximum']}",
    "string": lambda _: "text",
    "boolean": lambda _: "boolean",
}


def _notes(notes: Any) -> str:
    return f"{notes['description']}{_examples(notes.get('examples', ()))}"


def _examples(examples: Any) -> str:
    return f" Such as {' or '.join(f'`{written(example)}`' for example in examples)}." if examples else ""


ANCHORS = {
    "Files": "key",
    "Layers": "layer",
    "Cluster": "cluster",
    "Rules": "rule",
    "Conditions": "match",
    "Built-in rules": "built-in",
    "Tests": "given",
    "Findings of `policy check`": "code",
    "Findings of `policy doctor`": "doctor",
    "Findings of `policy cluster status`": "status",
    "Hints of `policy explain`": "hint",
    "JSON outputs": "output",
    "Exit codes": "exit",
    "Environment variables": "variable",
}
"""With what the anchors of a section's rows begin: what `timeout` of `[[rules]]` is stands at `#rule-timeout`."""


def _table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]], intro: str = "") -> str:
    return "\n\n".join(filter(None, [f"## {title}", intro, _rows(head, rows, ANCHORS.get(title, ""))]))


def _anchored(cell: str, prefix: str) -> str:
    """A name with an anchor before it, as Markdown has no other way to give a row one."""
    name = cell.strip("`").replace(" ", "-").replace("'", "").lower()
    return f'<a id="{prefix}-{name}"></a>{cell}' if prefix else cell


def _rows(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], prefix: str = "") -> str:
    lines = [head, tuple("---" for _ in head), *((_anchored(first, prefix), *rest) for first, *rest in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE} written\n")
