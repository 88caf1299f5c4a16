"""Text for people: the decision and the lock files first, then who decided and why, then every step."""

from __future__ import annotations

from policy.escape import escape
from policy.render.record import command_rows, label, name_of, notes
from policy.render.style import BOLD, CYAN, DIM, GREEN, RED, YELLOW, paint
from policy.rules.conditions import CONDITIONS, Combinator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def render(record: dict[str, Any], *, color: bool) -> str:
    """The record as paragraphs."""
    if record["environment"] is None:
        return f"{paint('no lock', BOLD, GREEN, color=color)}: {escape(record['command']['apart'])}"
    parts = [_answer(record, color=color), _decider(record, color=color), _environment(record, color=color)]
    parts.append(_excludes(record["excludes"], color=color))
    if command := _command(record.get("command", {}), color=color):
        parts.append(command)
    parts.append(_steps(record, color=color))
    told = [f"{paint(f'{kind}:', BOLD, YELLOW, color=color)} {escape(text)}" for kind, text in notes(record)]
    return "\n\n".join([*parts, "\n".join(told)] if told else parts)


def _answer(record: dict[str, Any], *, color: bool) -> str:
    lock = paint(f"{' and '.join(record['lock'])} lock", BOLD, GREEN, color=color)
    names = [escape(name_of(entry)) for entry in record["plan"]]
    width = max(map(len, names))
    rows = [
        f"  {paint(name.ljust(width), BOLD, color=color)}  {paint(escape(words), DIM, color=color)}"
        for name, words in zip(names, record["words"], strict=True)
    ]
    return "\n".join([f"{lock}, held in this order:" if len(rows) > 1 else f"{lock}:", *rows])


def _decider(record: dict[str, Any], *, color: bool) -> str:
    rule = record["rule"]
    layer = f", {rule['layer']} configuration" if rule["file"] else ""
    rows = [f"decided by {paint(escape(label(rule)), BOLD, CYAN, color=color)}{layer}"]
    if rule["reason"]:
        rows.append(f"  because {escape(rule['reason'])}")
    if record.get("corrected"):
        rows.append(f"  asked again, because {escape(record['corrected'])}")
    timeout = record["timeout"]
    rows.append("  waits as long as another process holds it" if timeout is None else f"  waits at most {timeout:g} s")
    return "\n".join(rows)


def _environment(record: dict[str, Any], *, color: bool) -> str:
    environment = record["environment"]
    rows = [
        ("root", environment["root"] + ("" if environment["exists"] else " (does not exist yet)")),
        ("kind", environment["kind"]),
        ("interpreter", environment["interpreter"]),
        ("base", environment["base_interpreter"] or "unknown"),
        ("found by", environment["found_by"]),
    ]
    title = paint("environment", BOLD, color=color)
    return "\n".join([title, *(f"  {name.ljust(11)}  {escape(value)}" for name, value in rows)])


def _excludes(answers: list[dict[str, Any]], *, color: bool) -> str:
    """Who is kept out, who is not, and what to do about it."""
    who = [f"{answer['who']}, {answer['where']}" for answer in answers]
    width = max(map(len, who))
    rows = []
    for answer, name in zip(answers, who, strict=True):
        mark = paint("yes", BOLD, GREEN, color=color) if answer["excluded"] else paint("no ", BOLD, RED, color=color)
        remedy = f"; {answer['remedy']}" if answer.get("remedy") else ""
        rows.append(f"  {mark}  {name.ljust(width)}  {escape(answer['because'] + remedy)}")
    return "\n".join([paint("kept out while the lock is held", BOLD, color=color), *rows])


def _command(command: dict[str, Any], *, color: bool) -> str:
    """What is different for a command; "" where nothing is."""
    rows = [f"{name}{' ' if name == 'held' else ': '}{value}" for name, value in command_rows(command)]
    return "\n".join([paint("command", BOLD, color=color), *(f"  {escape(row)}" for row in rows)]) if rows else ""


MARKS = {"no": ("no", RED), "matched": ("yes", GREEN), "not-reached": ("-", DIM)}


def _steps(record: dict[str, Any], *, color: bool) -> str:
    lines = [
        paint(
            "rules, in the order in which they were asked; the first whose conditions all hold decides",
            BOLD,
            color=color,
        )
    ]
    steps = record["steps"]
    tried = [step for step in steps if step["outcome"] != "not-reached"]
    skipped, unasked = record.get("untold", (0, 0))
    for number, step in enumerate(tried):
        if skipped and number == len(tried) // 2:
            lines.append(paint(f"  no   {skipped} more rules (-v lists them)", DIM, color=color))
        lines += _step(step, color=color)
    rest = [label(step["rule"]) for step in steps if step["outcome"] == "not-reached"]
    if unasked:
        rest.append(f"{unasked} more")
    if rest:
        lines.append(paint(f"  not asked: {escape(', '.join(rest))}", DIM, color=color))
    return "\n".join(lines)


def _step(step: dict[str, Any], *, color: bool) -> list[str]:
    word, code = MARKS[step["outcome"]]
    name = paint(escape(label(step["rule"])), BOLD, color=color)
    lines = [f"  {paint(word.ljust(3), BOLD, code, color=color)}  {name}: {' and '.join(step['rule']['lock'])}"]
    if not step["checks"]:
        lines.append("         no conditions: always matches")
    return lines + conditions(step["checks"], color=color)


def conditions(checks: list[dict[str, Any]], *, color: bool) -> list[str]:
    """One line for each condition: whether it holds, what it wants, what was seen.

    Args:
        checks: The conditions of one rule, answered.
        color: Whether colours may be used.
    """
    rows = [row for check in checks for row in answered(check, 0)]
    keys = max((len(row[1]) for row in rows), default=0)
    wants = max((len(row[2]) for row in rows), default=0)
    lines = []
    for passed, key, want, seen in rows:
        mark = paint("+", GREEN, color=color) if passed else paint("x", RED, color=color)
        tail = f"  saw {seen}" if seen else ""
        lines.append(f"       {mark} {key.ljust(keys)}  {('wants ' + want).ljust(wants + 6)}{tail}".rstrip())
    return lines


def answered(check: dict[str, Any], depth: int) -> list[tuple[bool, str, str, str]]:
    """A condition and those inside it: whether it holds, its key (indented), what it wants and what was seen.

    Args:
        check: The condition, answered.
        depth: How many combinators it stands in.
    """
    indent = "  " * depth
    key, passed = check["key"], check["passed"]
    combinator = CONDITIONS[key]
    if isinstance(combinator, Combinator):
        rows = [(passed, f"{indent}{key}", combinator.wants, "")]
        for table in check["checks"]:
            inside = [row for inner in table for row in answered(inner, depth + 1)]
            if combinator.several:  # a dash where each of several tables begins
                held, name, want, seen = inside[0]
                inside[0] = (held, f"{indent}- {name[len(indent) + 2 :]}", want, seen)
            rows += inside
        return rows
    if isinstance(check["expected"], dict):  # environment variables
        return [
            (
                check["seen"][name] in _answers(wanted),
                f"{indent}{key}.{escape(name)}",
                _value(wanted),
                check["seen"][name],
            )
            for name, wanted in check["expected"].items()
        ]
    seen = _value(check["seen"])
    if check.get("detail"):
        seen += f" ({escape(check['detail'])})"
    return [(passed, f"{indent}{key}", _value(check["expected"]), seen)]


def _answers(wanted: Any) -> tuple[str, ...]:
    """What the condition `env` tells of a variable that is as a rule wants it."""
    if isinstance(wanted, bool):
        return ("true",) if wanted else ("false", "unset")
    return ("set, matches",)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return " or ".join(map(_value, value))
    return escape(str(value)) or "nothing"
