"""Completion in bash."""

from __future__ import annotations

from policy.commands import COMMANDS
from policy.commands.help import options_of
from policy.commands.shells import tables
from policy.commands.shells.tables import quoted

_BASH = """\
# bash completion for policy, made by `policy completions bash`

_policy_offer() {
    local line
    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen "$@")
}

_policy_files() {
    compopt -o filenames 2>/dev/null
    _policy_offer "$@"
}

_policy_program() { # as sudo(8) completes its command: $1 is the place of its first word
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$1"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        _policy_offer -c -- "$cur"
    else
        _policy_files -f -- "$cur"
    fi
}

_policy() {
    local cur=${COMP_WORDS[COMP_CWORD]} command= option= index word
    COMPREPLY=()
    [[ $cur == = ]] && cur=
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if [[ $option ]]; then
            [[ $word == = ]] || option=
            continue
        fi
        case $word in
            --)
                case $command in
                    @PROGRAMS@) _policy_program $((index + 1)); return ;;
                esac ;;
            @VALUED@) option=$word ;;
            -*) ;;
            *)
                case $command in
                    "") command=$word ;;
                    @FIRST@) _policy_program "$index"; return ;;
                esac ;;
        esac
    done
    if [[ $option ]]; then
        case $command:$option in
@VALUES@
        esac
        return
    fi
    case $command:$cur in
@WORDS@
    esac
}

complete -F _policy policy lock-policy
"""


def completions() -> str:
    """The completion script."""
    values: dict[str, list[str]] = {}
    words = []
    for name, parser in tables.parsers():
        for option in options_of(parser):
            if option.value and (offered := _offer(tables.completed(option))):
                values.setdefault(offered, []).extend(f"{name}:{one}" for one in option.names)
        spelled = " ".join(one for option in options_of(parser) for one in option.names)
        words.append(f'        {name}:-*) _policy_offer -W {quoted(spelled)} -- "$cur" ;;')
        offered = "; ".join(filter(None, (_offer(tables.completed(option)) for option in parser.positionals)))
        if not name:
            offered = _offer(tuple(COMMANDS))
        if offered:
            words.append(f"        {name}:*) {offered} ;;")
    return tables.filled(
        _BASH,
        PROGRAMS="|".join(tables.takes_programs()),
        FIRST="|".join(tables.takes_programs(alone=True)),
        VALUED="|".join(tables.with_values()),
        VALUES="\n".join(f"            {'|'.join(names)}) {offered} ;;" for offered, names in values.items()),
        WORDS="\n".join(words),
    )


_PLAIN = {
    tables.FILES: '_policy_files -f -- "$cur"',
    tables.FOLDERS: '_policy_files -d -- "$cur"',
    tables.PROGRAMS: '_policy_offer -c -- "$cur"',
}


def _offer(offered: tuple[str, ...]) -> str:
    if not offered:
        return ""
    return _PLAIN.get(offered[0]) or f'_policy_offer -W {quoted(" ".join(offered))} -- "$cur"'


HOOK = """\
# bash: keeps the shims of lock-policy first on PATH, also when an environment is activated later
_policy_path() {
    local code=$?
    case $PATH in
        @FOLDER@ | @FOLDER@:*) ;;
        *)
            PATH=:$PATH:
            PATH=${PATH//:@FOLDER@:/:} PATH=${PATH#:} PATH=${PATH%:}
            PATH=@FOLDER@:$PATH
            hash -r ;;
    esac
    return $code
}
_policy_path
case ";${PROMPT_COMMAND[*]};" in
    *";_policy_path;"*) ;;
    *) PROMPT_COMMAND="_policy_path${PROMPT_COMMAND:+;$PROMPT_COMMAND}" ;;
esac
"""
