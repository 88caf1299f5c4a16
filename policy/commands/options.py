"""Options that several commands share, and what they mean."""

from __future__ import annotations

import os
import sys

from policy.commands.reading import Arguments, Parser
from policy.config.loading import Rules, seconds
from policy.errors import UsageError
from policy.rules.request import Caller, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TextIO, TypeVar

    from policy.environment.discovery import Environment
    from policy.rules.decision import Decision
    from policy.subject import Subject

    T = TypeVar("T")


def configuration(parser: Parser) -> None:
    """Which configuration counts."""
    group = parser.add_argument_group("configuration")
    group.add_argument("--config-file", metavar="FILE", help="read only this file (also LOCK_POLICY_CONFIG_FILE)")
    group.add_argument("--no-config", action="store_true", help="read no file (also LOCK_POLICY_NO_CONFIG)")
    group.add_argument("--project", metavar="DIR", help="look for the project's configuration here and upward")


def environment(parser: Parser) -> None:
    """Which environment is meant, and what is about to be done there."""
    which(parser)
    group = parser.add_argument_group("environment")
    group.add_argument("--operation", metavar="NAME", help='what is about to be done, such as "sync" or "pip install"')


def which(parser: Parser) -> None:
    """Which environment is meant, for a command that asks no rule about it."""
    group = parser.add_argument_group("environment")
    group.add_argument("--python", metavar="ENV", help="an interpreter, or the root of an environment")
    group.add_argument(
        "--target", metavar="DIR", help="a directory that packages are installed into, as pip's --target"
    )
    group.add_argument("--prefix", metavar="DIR", help="a prefix that packages are installed into, as pip's --prefix")


def settings(parser: Parser) -> None:
    """Single settings that stand before all files."""
    group = parser.add_argument_group("settings, before whatever the files say")
    group.add_argument("--timeout", metavar="SECONDS", help="how long to wait for the lock (also LOCK_POLICY_TIMEOUT)")
    group.add_argument("--global-dir", metavar="DIR", help="where global locks live (also LOCK_POLICY_GLOBAL_DIR)")
    group.add_argument(
        "--cluster-service",
        metavar="NAME",
        help="the libpq service of the server that keeps locks for several hosts (also LOCK_POLICY_CLUSTER_SERVICE)",
    )


def layer(parser: Parser, help: str) -> None:
    """As which layer files are judged.

    Args:
        parser: Of the command.
        help: Which files, and what counts without it.
    """
    from policy.config.layers import LAYERS

    parser.add_argument("--layer", choices=[one.name for one in LAYERS], help=help)


def color(parser: Parser) -> None:
    """Whether results are coloured."""
    parser.add_argument_group("output").add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="colours (also NO_COLOR, FORCE_COLOR)"
    )


def formats(parser: Parser, *names: str) -> None:
    """In which format results are printed.

    Args:
        parser: Of the command.
        names: The formats; the first is the default.
    """
    parser.add_argument("--output-format", choices=names, default=names[0], help=f"default: {names[0]}")


def quiet(parser: Parser) -> None:
    """Whether only results and errors are printed."""
    parser.add_argument_group("output").add_argument(
        "-q", "--quiet", action="store_true", help="print no notes and no warnings"
    )


def verbose(parser: Parser) -> None:
    """Whether more is printed."""
    parser.add_argument_group("output").add_argument("-v", "--verbose", action="store_true", help="show more")


def common(parser: Parser) -> None:
    """What may stand before the command's name, too; a command declares those of them that it heeds."""
    for declare in (configuration, color, quiet, verbose):
        declare(parser)


def rules(arguments: Arguments) -> Rules:
    """The rules that the options ask for."""
    timeout = getattr(arguments, "timeout", None)
    directory = getattr(arguments, "global_dir", None)
    return Rules(
        project=arguments.project,
        config_file=arguments.config_file,
        no_config=arguments.no_config,
        timeout=None if timeout is None else seconds(timeout, "--timeout"),
        global_dir=directory,
        cluster_service=getattr(arguments, "cluster_service", None),
    )


def found(arguments: Arguments, caller: Caller, named: str | None = None) -> Environment:
    """The environment that the options ask for."""
    from policy.environment.discovery import find

    return find(
        named,
        python=arguments.python,
        target=arguments.target,
        prefix=arguments.prefix,
        environ=caller.environ,
        cwd=caller.cwd,
    )


def subject(arguments: Arguments, caller: Caller, command: Sequence[str], env: str | None = None) -> Subject:
    """What a command is about; the options of `policy` are stronger than its own words.

    Args:
        arguments: The options.
        caller: Who asks.
        command: The command line; none where an environment is asked about.
        env: The environment, where it is an argument.
    """
    from policy.subject import Subject, subject

    if not command:
        return Subject(found(arguments, caller, env))
    return subject(command, caller, lambda: found(arguments, caller, env), named=names_one(arguments))


def names_one(arguments: Arguments) -> bool:
    """Whether the command line names an environment; an empty name counts, and is refused where it is looked for."""
    return any(getattr(arguments, name, None) is not None for name in ("environment", "python", "target", "prefix"))


def explained(decision: Decision, seen: Subject) -> str:
    """What `policy explain -- COMMAND` prints.

    Args:
        decision: What was decided.
        seen: What the command is about.
    """
    from policy.render.layout import fit, width
    from policy.render.record import command, record
    from policy.render.style import wanted
    from policy.render.text import render
    from policy.wrap import adaptation

    told = record(decision, decision.warnings)
    told["command"] = command(seen, adaptation(seen, decision))
    return fit(render(told, color=wanted("auto", sys.stderr)), width(sys.stderr))


def caller(arguments: Arguments) -> Caller:
    """Who asks, with the variables that `--env` and `--unset` change."""
    environ = dict(os.environ)
    for name in getattr(arguments, "unset", None) or ():
        environ.pop(name, None)
    for pair in getattr(arguments, "env", None) or ():
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UsageError(f"--env {pair}: write --env NAME=VALUE")
        environ[name] = value
    return Caller(environ, operation=getattr(arguments, "operation", None))


def assume(request: Request, pairs: Sequence[str]) -> None:
    """Facts that are taken for true without looking; the environment and the plan follow.

    A path that is given twice is one path: as spelled, and without its links.
    """
    if not pairs:
        return
    from policy.rules.conditions import CONDITIONS
    from policy.rules.supposition import follow

    assumed: dict[str, object] = {}
    known = [key for key, condition in CONDITIONS.items() if condition.assumable]
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key not in known:
            raise UsageError(f"--assume {pair}: write --assume FACT=VALUE with one of {', '.join(known)}")
        try:
            fact = CONDITIONS[key].assumed(value)
        except ValueError as error:
            raise UsageError(f"--assume {pair}: {key} {error}") from None
        before = assumed.get(key)
        assumed[key] = fact if before is None or not CONDITIONS[key].is_path else (before, fact)
        request.details[key] = "assumed"
    follow(request, assumed)


def show(arguments: Arguments, found: T, text: Callable[..., str], others: Mapping[str, Callable[[T], str]]) -> None:
    """Prints a result in the format that was asked for.

    Args:
        arguments: The options.
        found: The result.
        text: Makes text of it for people, in colour where `color` says so; what is too wide is broken here.
        others: What makes each of the other formats of it.
    """
    from policy.render.layout import fit, width
    from policy.render.style import wanted

    if arguments.output_format == "text":
        sys.stdout.write(fit(text(found, color=wanted(arguments.color, sys.stdout)), width(sys.stdout)))
    else:
        sys.stdout.write(others[arguments.output_format](found))


def note(message: str) -> None:
    """One line on stderr."""
    from policy.escape import escape
    from policy.render.layout import fit, width

    try:
        sys.stderr.write(fit(f"policy: {escape(message)}", width(sys.stderr)) + "\n")
    except OSError:  # nobody is left to be told
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Lets what a stream has not taken go nowhere, for Python tries again when it ends, and fails then."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def warn(message: str) -> None:
    """A warning on stderr."""
    note(f"warning: {message}")


def complain(message: str) -> None:
    """An error on stderr."""
    note(f"error: {message}")
