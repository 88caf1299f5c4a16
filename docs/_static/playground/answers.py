"""What the playground shows for rules and a request.

This runs in the reader's browser, in Pyodide, on the wheel as it is released, and in the tests.
"""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from policy.__main__ import main
from policy.checks.regions import Example
from policy.config import layers
from policy.config.read import load_chain
from policy.errors import ConfigError, PolicyError, UsageError
from policy.render import render
from policy.render.record import contract, record
from policy.rules import supposition
from policy.rules.conditions import CONDITIONS

FILE = "lock-policy.toml"
FAULTY = "The rules have faults, so nothing is decided."


def prepare(folder: str) -> None:
    """Makes a project, as a user would have one, and works there.

    Args:
        folder: Where.
    """
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    os.environ["HOME"] = os.path.dirname(folder)


def answer(asked: str) -> str:
    """What the page shows, as JSON.

    Args:
        asked: JSON: `rules`, the text of a configuration file, and `request`, facts by the key of their condition.
    """
    question = json.loads(asked)
    with open(FILE, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        file.write(question["rules"])
    os.chmod(FILE, 0o644)  # Emscripten heeds no umask, and a file that everyone can write is not trusted
    shown = command("check", FILE)
    return json.dumps({"check": shown, "codes": codes(shown), **decision(question["request"])})


def command(*words: str) -> str:
    """What a command prints on a terminal, stderr first.

    Args:
        words: Those after `policy`.
    """
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        main(words)
    return err.getvalue() + out.getvalue()


def codes(shown: str) -> list[str]:
    """The kinds of what `policy check` found, each once.

    Args:
        shown: What it printed; where it found nothing, it is not asked again.
    """
    if shown.startswith("All good"):
        return []
    found = json.loads(command("check", FILE, "--output-format", "json"))
    return list(dict.fromkeys(finding["code"] for finding in found["findings"]))


def decision(given: dict[str, str]) -> dict[str, Any]:
    """The decision on a request as a page, as text and as data, or why there is none.

    Args:
        given: What the reader wrote, by the key of a condition; an empty text says nothing.
    """
    try:
        known = facts(given)
        chain = load_chain([layers.Source(layers.layer("project"), os.path.abspath(FILE))])
        made = chain.decide(supposition.request(known))
        told = record(made, made.warnings)
    except ConfigError:
        return {"fault": FAULTY}
    except PolicyError as error:
        return {"fault": str(error)}
    told["environment"]["exists"] = True  # the request says that it does
    return {
        "page": render("html", told),
        "text": render("text", told),
        "record": contract(told),
        "command": str(Example(known)),
    }


def facts(given: dict[str, str]) -> dict[str, Any]:
    """The facts that a reader wrote.

    Args:
        given: As for `decision`.

    Raises:
        UsageError: When a value is none that its condition knows.
    """
    known: dict[str, Any] = {}
    for key, text in given.items():
        if not text.strip():
            continue
        if key == "env":
            known[key] = variables(text)
            continue
        try:
            known[key] = CONDITIONS[key].assumed(text.strip())
        except ValueError as error:
            raise UsageError(f"{key} {error}") from None
    return known


def variables(text: str) -> tuple[tuple[str, str], ...]:
    """Environment variables, one a line.

    Args:
        text: The lines; the last of two of one name counts.

    Raises:
        UsageError: When a line is no NAME=VALUE.
    """
    found = {}
    for line in filter(str.strip, text.splitlines()):
        name, equals, value = line.strip().partition("=")
        if not name or not equals:
            raise UsageError(f"env: write NAME=VALUE, not {line.strip()}")
        found[name] = value
    return tuple(sorted(found.items()))
