"""Completion in PowerShell."""

from __future__ import annotations

from policy.commands import COMMANDS
from policy.commands.help import options_of
from policy.commands.shells import tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SCRIPT = """\
# PowerShell completion for policy, made by `policy completions powershell`

Register-ArgumentCompleter -Native -CommandName policy, lock-policy -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $commands = [ordered]@{
@COMMANDS@
    }
    $options = @{
@OPTIONS@
    }
    $values = @{
@VALUES@
    }
    $valued = @VALUED@
    $command = ''
    $option = ''
    foreach ($element in ($commandAst.CommandElements | Select-Object -Skip 1)) {
        if ($element.Extent.EndOffset -ge $cursorPosition -and $wordToComplete) { break }
        $word = $element.Extent.Text
        $begin = -1
        if ($option) { $option = '' }
        elseif ($word -eq '--') { if ($command -in @PROGRAMS@) { $begin = $element.Extent.EndOffset } }
        elseif ($word -in $valued) { $option = $word }
        elseif ($word.StartsWith('-')) { }
        elseif (-not $command) { $command = $word }
        elseif ($command -in @FIRST@) { $begin = $element.Extent.StartOffset }
        if ($begin -ge 0) { # the command's own completion
            $text = $commandAst.Extent.Text.Substring($begin - $commandAst.Extent.StartOffset)
            $text = $text.PadRight($cursorPosition - $begin)
            return (TabExpansion2 -inputScript $text -cursorColumn $text.Length).CompletionMatches
        }
    }
    if ($option) { $offered = $values["${command}:$option"] }
    elseif ($wordToComplete.StartsWith('-')) { $offered = $options[$command] }
    elseif ($command) { $offered = $values["${command}:"] }
    else { $offered = $commands.Keys }
    $offered | Where-Object { $_ -like "$wordToComplete*" } | ForEach-Object {
        $tip = if (-not $command -and $commands[$_]) { $commands[$_] } else { $_ }
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $tip)
    }
}
"""


def completions() -> str:
    """The completion script; where it offers nothing, PowerShell offers files."""
    options, values = [], []
    for name, parser in tables.parsers():
        names = _list(one for option in options_of(parser) for one in option.names)
        options.append(f"        {quoted(name)} = {names}")
        for option in options_of(parser):
            if option.value and option.choices:
                values += [f"        {quoted(f'{name}:{one}')} = {_list(option.choices)}" for one in option.names]
        for option in parser.positionals if name else ():
            words = tables.completed(option)
            if words and words[0] not in {tables.FILES, tables.FOLDERS, tables.PROGRAMS}:
                values.append(f"        {quoted(f'{name}:')} = {_list(words)}")
    return tables.filled(
        _SCRIPT,
        COMMANDS="\n".join(f"        {quoted(name)} = {quoted(summary)}" for name, summary in COMMANDS.items()),
        OPTIONS="\n".join(options),
        VALUES="\n".join(values),
        VALUED=_list(tables.with_values()),
        PROGRAMS=_list(tables.takes_programs()),
        FIRST=_list(tables.takes_programs(alone=True)),
    )


def _list(words: Iterable[str]) -> str:
    return f"@({', '.join(map(quoted, words))})"


def quoted(text: str) -> str:
    """A text between apostrophes, as PowerShell reads it."""
    return tables.quoted(text, "''")


HOOK = """\
# PowerShell: puts the shims of lock-policy first on PATH
$rest = $env:PATH -split [IO.Path]::PathSeparator | Where-Object { $_ -ne @FOLDER@ }
$env:PATH = (, @FOLDER@ + @($rest)) -join [IO.Path]::PathSeparator
"""
