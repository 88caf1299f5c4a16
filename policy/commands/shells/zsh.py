"""Completion in zsh."""

from __future__ import annotations

from policy.commands import COMMANDS
from policy.commands.help import options_of, program
from policy.commands.reading import ONE, REMAINDER, Option, Parser
from policy.commands.shells import tables
from policy.commands.shells.tables import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


_ZSH = """\
#compdef policy lock-policy
# zsh completion for policy, made by `policy completions zsh`

_policy() {
    local context state state_descr line curcontext="$curcontext"
    local -A opt_args
    _arguments -C \\
@OPTIONS@
        '(-): :->command' '*:: :->words'
    case $state in
        command)
            local -a commands=(
@COMMANDS@
            )
            _describe -t commands command commands ;;
        words)
            curcontext="${curcontext%:*:*}:policy-$line[1]:"
            case $line[1] in
@WORDS@
            esac ;;
    esac
}

if [[ $funcstack[1] == _policy ]]; then
    _policy "$@"
else
    compdef _policy policy lock-policy
fi
"""


def completions() -> str:
    """The completion script."""
    described = [f"                {quoted(f'{name}:{help}')}" for name, help in COMMANDS.items()]
    words = []
    for name, parser in tables.parsers():
        if name:
            specs = ["_arguments -s -S", *_options(parser), *_positionals(parser)]
            joined = " \\\n                        ".join(specs)
            words.append(f"                {name})\n                    {joined} ;;")
    options = [f"        {spec} \\" for spec in _options(program())]
    return tables.filled(_ZSH, OPTIONS="\n".join(options), COMMANDS="\n".join(described), WORDS="\n".join(words))


def _options(parser: Parser) -> Iterator[str]:
    for option in options_of(parser):
        shown = _text(option.help)
        several = "*" if option.action == "append" else f"({' '.join(option.names)})"
        for name in option.names:
            if option.value:
                yield quoted(f"{several}{name}=[{shown}]:{_text(option.value)}:{_action(option)}")
            else:
                yield quoted(f"{several}{name}[{shown}]")


def _positionals(parser: Parser) -> Iterator[str]:
    for option in parser.positionals:
        if option.nargs == REMAINDER:
            yield "'(-):command:_command_names -e'" if len(parser.positionals) == 1 else "'*:: :_normal'"
            if len(parser.positionals) == 1:
                yield "'*::arguments:_normal'"
        else:
            colon = {ONE: ":", "?": "::", "*": "*:"}[option.nargs]
            yield quoted(f"{colon}{_text(option.value)}:{_action(option)}")


def _action(option: Option) -> str:
    offered = tables.completed(option)
    if not offered:
        return " "
    return {tables.FILES: "_files", tables.FOLDERS: "_files -/"}.get(offered[0]) or f"({' '.join(offered)})"


def _text(text: str) -> str:
    for character in "\\[]:":
        text = text.replace(character, f"\\{character}")
    return text


HOOK = """\
# zsh: keeps the shims of lock-policy first on PATH, also when an environment is activated later
_policy_path() {
    [[ $path[1] == @FOLDER@ ]] || path=(@FOLDER@ ${path:#@FOLDER@})
}
_policy_path
autoload -Uz add-zsh-hook
add-zsh-hook precmd _policy_path
"""
