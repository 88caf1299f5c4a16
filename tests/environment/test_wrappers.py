from __future__ import annotations

import os
import shlex
import shutil
import subprocess

import pytest

from policy.environment.command import WRAPPERS
from policy.environment.wrappers import Words, options, simple, unwrap
from tests import requirements

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/home/user", "VIRTUAL_ENV": "/v"}


@pytest.mark.parametrize(
    "line",
    [
        "env pip install x",
        "env -u NAME --unset=OTHER A=1 B= pip install x",
        "env -i pip install x",
        "env - A=1 pip install x",
        "env -S 'pip install x'",
        "env --chdir=/tmp pip install x",
        "nice pip install x",
        "nice -n 5 pip install x",
        "nice -5 pip install x",
        "nice --adjustment=5 pip install x",
        "ionice -c 3 pip install x",
        "ionice -c2 -n7 -t pip install x",
        "nohup pip install x",
        "timeout 5 pip install x",
        "timeout -k 1 --signal=TERM 5s pip install x",
        "timeout --foreground 5 pip install x",
        "time -f %e -o log pip install x",
        "time -p pip install x",
        "setsid -w pip install x",
        "stdbuf -oL -e 0 pip install x",
        "taskset -c 0,1 pip install x",
        "taskset 0x1 pip install x",
        "chrt -b 0 pip install x",
        "flock -w 5 /tmp/file pip install x",
        "flock /tmp/file -c 'pip install x'",
        "unshare -rn pip install x",
        "sudo -u root -E A=1 pip install x",
        "sudo -- pip install x",
        "doas -u root pip install x",
        "sh -c 'pip install x'",
        "bash -euo pipefail -c 'pip install x'",
        "sh -c 'exec pip install x'",
        "sh -c 'A=1 exec pip install x'",
        "sh -c '\"$@\"' sh pip install x",
        "sh -c 'exec \"$@\"' sh pip install x",
        "sh -c 'pip \"install\" x'",
        "env A=1 nice -n 1 timeout 5 sh -c 'exec nohup pip install x'",
    ],
)
def test_taken_off(line: str) -> None:
    """What stands before a command is taken off, with its options and their values."""
    words = shlex.split(line)
    found = unwrap(Words(words, ENVIRON, "/work"), WRAPPERS)
    assert found.words == ("pip", "install", "x")
    assert found.through


@pytest.mark.parametrize(
    "words",
    [
        ("sh", "script.sh"),
        ("sh", "-c", "cd sub && pip install x"),
        ("sh", "-c", "pip install $PACKAGE"),
        ("sh", "-c", 'pip install "$PACKAGE"'),
        ("sh", "-c", "pip install `cat list`"),
        ("sh", "-c", "pip install x | tee log"),
        ("sh", "-c", "pip install x\npip install y"),
        ("sh", "-c", "pip install *.whl"),
        ("sh", "-c", "pip install 'x"),
        ("sh", "-c", "for x in a; do pip install x; done"),
        ("sh", "-c", "source activate"),
        ("sh", "-c", ""),
        ("sh", "-c"),
        ("sudo", "-i", "pip", "install", "x"),
        ("env",),
        ("nice", "-n", "5"),
        ("make", "install"),
    ],
)
def test_left_as_it_is(words: tuple[str, ...]) -> None:
    """A script, a shell's text of more than one plain command, and a wrapper without a command are not taken apart."""
    assert unwrap(Words(words, ENVIRON, "/work"), WRAPPERS).words == words


def test_what_the_command_gets() -> None:
    """Variables, directory and PATH are those that the command itself will have."""

    def inner(*words: str) -> Words:
        return unwrap(Words(words, ENVIRON, "/work"), WRAPPERS)

    assert inner("env", "A=1", "-u", "x", "pip").words == ("-u", "x", "pip")
    assert inner("env", "-u", "VIRTUAL_ENV", "-u", "HOME", "A=1", "pip").environ == {"PATH": ENVIRON["PATH"], "A": "1"}
    assert inner("env", "-i", "A=1", "pip").environ == {"A": "1"}
    assert inner("env", "-C", "sub", "pip").cwd == "/work/sub"
    assert inner("sh", "-c", "A=1 pip").environ == {**ENVIRON, "A": "1"}
    sudo = inner("sudo", "-D", "/srv", "B=2", "pip")
    assert (sudo.cwd, sudo.environ.get("VIRTUAL_ENV"), sudo.environ["B"]) == ("/srv", None, "2")
    assert "/usr/sbin" in sudo.environ["PATH"]
    assert inner("sudo", "-E", "pip").environ["VIRTUAL_ENV"] == "/v"
    assert inner("env", "nice", "pip").through == ("env", "nice")


def test_as_the_real_ones() -> None:
    """The real programs start the word that is found, with the variables and in the directory that are found."""
    report = "echo $A; pwd"
    for words in (
        ("env", "-u", "B", "-C", "/", "A=1"),
        ("nice", "-n", "1", "env", "A=1"),
        ("timeout", "-k", "1", "9", "env", "-C/", "A=1"),
        ("nohup", "setsid", "-w", "stdbuf", "-oL", "env", "A=1"),
    ):
        requirements.need(all(shutil.which(word) for word in words if word in WRAPPERS), "coreutils and util-linux")
        line = (*words, "sh", "-c", report)
        found = unwrap(Words(line, ENVIRON, "/usr"), WRAPPERS)
        done = subprocess.run(line, env=ENVIRON, cwd="/usr", capture_output=True, text=True, check=True)
        assert found.words == ("sh", "-c", report)
        assert done.stdout == f"{found.environ['A']}\n{found.cwd}\n"


def test_options() -> None:
    """Options are read as getopt reads them: clusters, values attached or not, `--` and an end at the first other."""
    assert options(["-ab", "--long", "v", "--flag", "x", "-t5", "--", "-y"], "t/time long") == (
        {"a": "", "b": "", "long": "v", "flag": "", "time": "5"},
        ["x", "-y"],
    )
    assert options(["-q", "run", "-x"], "", leading=True) == ({"q": ""}, ["run", "-x"])


@pytest.mark.parametrize("text", ["a 'b c' \"d e\" f\\ g", "a''b \"\"", "x=1 y", "a\tb", "'don'\\''t'"])
def test_split_as_a_shell_splits(text: str) -> None:
    """One simple command is split and unquoted as sh does it."""
    done = subprocess.run(
        ["sh", "-c", f"for word in {text}; do printf '%s\\n' \"$word\"; done"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    assert simple(text) == done.stdout.splitlines()
