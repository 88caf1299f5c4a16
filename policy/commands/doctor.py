"""`policy doctor`: does locking work here?"""

from __future__ import annotations

import os
import sys

from policy.commands import options
from policy.commands.reading import Arguments, Parser
from policy.errors import ConfigError, EnvironmentNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from policy.commands.health.finding import Finding, Surroundings

FOUND = 1


def arguments(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument(
        "environment", metavar="ENV", nargs="?", help="as for `policy explain`; default: the environment found there"
    )
    options.formats(parser, "text", "json")
    options.which(parser)
    options.configuration(parser)
    options.color(parser)
    options.quiet(parser)


def main(arguments: Arguments) -> int:
    """Prints what is wrong, and what mends it."""
    sys.dont_write_bytecode = True  # nothing is left behind: no compiled module, and no compiled rules
    os.environ["XDG_CACHE_HOME"] = os.devnull
    from policy.commands.health.checks import CHECKS
    from policy.commands.health.child import examine
    from policy.commands.health.finding import WRONG

    surroundings = _surroundings(arguments)
    results = {name: _answered(name, found) for name, found in examine(CHECKS, surroundings).items()}
    _tidy(surroundings)
    environment = surroundings.environment
    if environment and not os.path.isdir(environment.root) and not arguments.quiet:
        options.note(f"{environment.root} does not exist: only the host is examined")
    if arguments.output_format == "json":
        from policy.render.layout import json_text

        sys.stdout.write(json_text(_record(results, surroundings)))
    else:
        _show(results, arguments)
    return FOUND if any(finding.severity == WRONG for found in results.values() for finding in found) else 0


def _surroundings(arguments: Arguments) -> Surroundings:
    from policy.commands.health.finding import Surroundings
    from policy.rules.gate import default_directory

    caller = options.caller(arguments)
    try:
        environment = options.found(arguments, caller, arguments.environment)
    except EnvironmentNotFound:
        if options.names_one(arguments):
            raise
        environment = None
    chosen = [f"--config-file={arguments.config_file}"] if arguments.config_file else []
    chosen += ["--no-config"] if arguments.no_config else []
    chosen += [f"--project={arguments.project}"] if arguments.project else []
    try:
        gate = options.rules(arguments).setting("gate-dir", caller)
    except ConfigError:
        gate = None  # a check of its own says what is wrong
    folder = gate or default_directory(caller.environ)
    return Surroundings(caller.environ, caller.cwd, folder, environment, tuple(chosen))


def _answered(name: str, found: Sequence[Finding] | None) -> Sequence[Finding]:
    """What a check found; that it did not come to its end is a finding, too."""
    if found is not None:
        return found
    from policy.commands.health.checks import UNANSWERED
    from policy.commands.health.finding import Finding

    code = UNANSWERED.get(name, "no-answer")
    return [Finding(code, f"{name}: the check did not finish", "policy doctor --output-format json")]


def _tidy(surroundings: Surroundings) -> None:
    """Removes what a check that was given up may have left."""
    if sys.platform != "win32":
        from policy.commands.health.flock import leftover

        for folder in surroundings.folders:
            path = leftover(folder, os.getpid())
            if os.path.lexists(path):
                os.unlink(path)


def _record(results: Mapping[str, Sequence[Finding]], surroundings: Surroundings) -> dict[str, object]:
    from attrs import asdict

    return {
        "version": 1,
        "environment": surroundings.environment.root if surroundings.environment else None,
        "checks": [
            {
                "name": name,
                "findings": [{**asdict(finding), "anchor": finding.anchor} for finding in found],
            }
            for name, found in results.items()
        ],
    }


def _show(results: Mapping[str, Sequence[Finding]], arguments: Arguments) -> None:
    from policy.commands.health.finding import NOTE, WRONG
    from policy.escape import escape
    from policy.manual import command
    from policy.render.layout import fit, width
    from policy.render.style import BOLD, DIM, GREEN, RED, YELLOW, paint, wanted

    color, columns = wanted(arguments.color, sys.stdout), width(sys.stdout)
    styles = {WRONG: RED, NOTE: YELLOW}
    lines = []
    for name, found in results.items():
        if not found and not arguments.quiet:
            lines.append(f"{paint('ok', BOLD, GREEN, color=color)}     {name}")
        for finding in found:
            word = paint(finding.severity, BOLD, styles[finding.severity], color=color)
            blanks = " " * (7 - len(finding.severity))
            lines.append(fit(f"{word}{blanks}{escape(finding.message)}", columns))
            lines.append(f"       {paint(command(finding.code), BOLD, color=color)}")
            lines.append(f"       {escape(finding.remedy)}")  # in one line, so that it can be copied
    severities = [finding.severity for found in results.values() for finding in found]
    lines.append(paint(_total(severities.count(WRONG), severities.count(NOTE)), DIM, color=color))
    sys.stdout.write("\n".join(lines) + "\n")


def _total(wrong: int, notes: int) -> str:
    first = f"{wrong} finding{'s' if wrong > 1 else ''}" if wrong else "nothing is wrong"
    return f"{first}, {notes} note{'s' if notes > 1 else ''}" if notes else first
