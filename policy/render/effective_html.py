"""The effective configuration as one page for a browser."""

from __future__ import annotations

from policy.render.effective import DEFAULTS, KEYS, record, written
from policy.render.page import code, listed, named, page, table, text, where
from policy.render.record import shorten
from policy.rules.rule import KEY_FIELDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from policy.rules.chain import Chain

ABOVE = ("name", "lock", "reason")
"""What a rule's box shows in a place of its own."""


def as_html(chain: Chain) -> str:
    """The rules and the settings as a document of HTML."""
    return render(record(chain)) + "\n"


def render(record: dict[str, Any]) -> str:
    """The same of a record, without a line end at its end.

    Args:
        record: What `policy.render.effective.record` made of the chain.
    """
    settings = table(
        (row for name, setting in record["settings"].items() for row in _setting(name, setting)),
        name="checks wants",
        head=("setting", "value", "from"),
    )
    body = [
        "<h2>Settings</h2>",
        settings or "<p>No setting is given: the defaults apply.</p>",
        "<h2>Rules, in the order in which they are asked; the first whose conditions all hold decides</h2>",
        listed("chain", map(_rule, record["rules"])),
    ]
    return page("Effective configuration", body)


def _setting(name: str, setting: dict[str, Any]) -> Iterator[str]:
    """A setting, and what counts in its place for rules that it does not reach."""
    yield _row(name.replace("_", "-"), setting, "")
    for other in setting.get("others", ()):
        yield _row("", other, f"for rules of the layers {', '.join(other['layers'])}")


def _row(name: str, setting: dict[str, Any], note: str) -> str:
    told = f'<span class="dim">{text(note)}</span>' if note else ""
    origin = setting.get("given_by") or f"{setting['layer']}: {shorten(setting['file'])}:{setting['line']}"
    title = f' title="{where(setting)}"' if setting["file"] else ""
    return (
        f'<tr{title}><th scope="row">{code(name) if name else ""}</th><td>{_toml(setting["value"])}{told}</td>'
        f"<td>{text(origin)}</td></tr>"
    )


def _rule(rule: dict[str, Any]) -> str:
    layer = f"{rule['layer']}, mandatory" if rule["mandatory"] else rule["layer"]
    head = f'<span class="answer dim">{text(layer)}</span>{named(rule)}: {text(" and ".join(rule["lock"]))}'
    if rule["reason"]:
        head += f'<span class="dim">because {text(rule["reason"])}</span>'
    if rule["match"]:
        rows = (f"<tr><td>{code(key)}</td><td>{_toml(value)}</td></tr>" for key, value in rule["match"].items())
        wants = table(rows, name="checks wants", head=("condition", "wants"))
    else:
        wants = '<span class="dim">no conditions: always matches</span>'
    return f'<li title="{where(rule)}">{head}{wants}{_effects(rule)}</li>'


def _effects(rule: dict[str, Any]) -> str:
    """What else the rule does, where that is not what every rule does."""
    given = [
        f"{name} = {written(rule[KEY_FIELDS[name]])}"
        for name in KEYS
        if name not in ABOVE and rule[KEY_FIELDS[name]] != DEFAULTS[KEY_FIELDS[name]]
    ]
    return f"<div>{'; '.join(map(code, given))}</div>" if given else ""


def _toml(value: Any) -> str:
    """A value as TOML has it; a long array takes several lines."""
    lines = "\n".join(map(text, written(value).split("\n")))
    return f"<code>{lines}</code>"
