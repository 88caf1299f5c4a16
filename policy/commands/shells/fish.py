"""Completion in fish."""

from __future__ import annotations

from policy.commands import COMMANDS
from policy.commands.help import options_of
from policy.commands.shells import tables

_FISH = """\
# fish completion for policy, made by `policy completions fish`

function __policy_words # the command, then the words of the command line that follows it
    set -l words (commandline -opc)
    set -e words[1]
    set -l command
    while set -q words[1]
        switch $words[1]
            case --
                contains -- "$command" @PROGRAMS@; and printf '%s\\n' $command $words[2..]; and return
            case @VALUED@
                set -e words[1]
            case '-*'
            case '*'
                if test -z "$command"
                    set command $words[1]
                else if contains -- $command @FIRST@
                    printf '%s\\n' $command $words
                    return
                end
        end
        set -e words[1]
    end
    printf '%s\\n' $command
    return 1
end

function __policy_is # whether a command is called and its own words are being written
    set -l words (__policy_words)
    and return 1
    test "$words" = "$argv"
end

function __policy_program # as sudo's completion has it
    set -l words (__policy_words) (commandline -ct)
    complete -C (string join ' ' -- (string escape -- $words[2..-2]) $words[-1])
end

complete -c policy -f
complete -c policy -n '__policy_words >/dev/null' -a '(__policy_program)'
@OPTIONS@
complete -c lock-policy -w policy
"""


def completions() -> str:
    """The completion script."""
    lines = []
    for name, parser in tables.parsers():
        condition = f"complete -c policy -n '__policy_is{' ' if name else ''}{name}'"
        if not name:
            lines += [f"{condition} -a {command} -d {quoted(text)}" for command, text in COMMANDS.items()]
        for option in options_of(parser):
            spelled = " ".join(f"-l {one[2:]}" if one.startswith("--") else f"-s {one[1:]}" for one in option.names)
            value = _value(tables.completed(option)) if option.value else ""
            lines.append(" ".join(filter(None, [condition, spelled, value, "-d", quoted(option.help)])))
        if name:
            lines += [
                f"{condition} {_value(offered)}" for one in parser.positionals if (offered := tables.completed(one))
            ]
    return tables.filled(
        _FISH,
        PROGRAMS=" ".join(tables.takes_programs()),
        FIRST=" ".join(tables.takes_programs(alone=True)),
        VALUED=" ".join(tables.with_values()),
        OPTIONS="\n".join(lines),
    )


def _value(offered: tuple[str, ...]) -> str:
    plain = {
        tables.FILES: "-r -F",
        tables.FOLDERS: "-x -a '(__fish_complete_directories)'",
        tables.PROGRAMS: "-a '(__fish_complete_command)'",
    }
    if not offered:
        return "-x"
    return plain.get(offered[0]) or f"-x -a {quoted(' '.join(offered))}"


def quoted(text: str) -> str:
    """A text between apostrophes, as fish reads it."""
    return tables.quoted(text.replace("\\", "\\\\"), r"\'")


HOOK = """\
# fish: keeps the shims of lock-policy first on PATH, also when an environment is activated later
function _policy_path --on-event fish_prompt
    test "$PATH[1]" = @FOLDER@; and return
    set -l rest
    for folder in $PATH
        test $folder = @FOLDER@; or set -a rest $folder
    end
    set -gx PATH @FOLDER@ $rest
end
_policy_path
"""
