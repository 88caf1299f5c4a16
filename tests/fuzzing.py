"""Whatever stands in a configuration file, or in a pattern: what fuzzers call, and two fuzzers.

`python -m tests.fuzzing TARGET` tries inputs that atheris finds where it is installed, else random changes of the
examples. The first input that breaks a promise ends it with a traceback, and is left in a file that `--again` takes.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import importlib.util
import io
import json
import marshal
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REPOSITORY = Path(__file__).resolve().parent.parent

TIMEOUT = 30
"""Seconds of the processor after which one input counts as hung. Nothing takes a third of that."""

MEMORY = 100
"""Megabytes that all inputs together may take on top of what the program takes anyway."""

LAYERS = ("project", "system", "user", "file")
CHECK_FORMATS = ("text", "json", "github", "gitlab", "sarif", "junit")

WORDS = (
    b"[[rules]]\n",
    b"[[tests]]\n",
    b"[tool.lock-policy]\n",
    b"lock = 'local'\n",
    b'lock = "both"\n',
    b"match.",
    b"match = {",
    b"any = [{",
    b"not.",
    b"env.CI = true\n",
    b"interpreter = '/nix/store/*'\n",
    b"environment = ['/a/**', '~/b[!c-d]?']\n",
    b"kind = ",
    b"writable = false\n",
    b"timeout = 1e400\n",
    b"timeout = nan\n",
    b"global-dir = '..'\n",
    b"required-version = '>=0.1'\n",
    b"mandatory = true\n",
    b"given = {",
    b"expect.lock = 'global'\n",
    b"name = ",
    b"1979-05-27T07:32:00Z",
    b"'''",
    b'"""',
    b"\\u0000",
    b"\\uD800",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x00",
    b"\r\n",
    b"#",
    b"**/",
    b"[]]",
    b"[a-",
    b"..",
)
"""What a fuzzer would take long to find."""


def input_file() -> Path:
    """Where the file lies that targets have read; one for a process, in a folder that goes with it."""
    if not _made:
        _made.append(tempfile.mkdtemp(prefix="lock-policy-fuzzing-"))
        atexit.register(tidy)
    return Path(_made[0]) / "lock-policy.toml"


def tidy() -> None:
    """Removes the folder."""
    for folder in _made:
        shutil.rmtree(folder, ignore_errors=True)


_made: list[str] = []


def read_configuration(data: bytes) -> None:
    """A file is refused with faults that can be shown, or it decides and can be explained."""
    from policy.config import layers, loading, read
    from policy.config.layers import Source
    from policy.errors import ConfigError
    from policy.toml import document

    file = input_file()
    file.write_bytes(data)
    layer = LAYERS[len(data) % len(LAYERS)]
    found = _or_error(ConfigError, read.read_file, Source(layers.layer(layer), str(file)))
    if isinstance(found, ConfigError):
        assert found.diagnostics
        assert str(found)
        lines = data.count(b"\n") + 1
        for diagnostic in found.diagnostics:
            assert diagnostic.message
            assert 0 <= diagnostic.line <= lines
            assert (diagnostic.column > 0) is (diagnostic.line > 0)
            assert document.show(diagnostic).encode()
        return
    chain = read.chain([found])
    kept = loading.frozen(chain)
    assert marshal.loads(marshal.dumps(kept)) == kept  # what the cache keeps  # noqa: S302  (written here)
    _decide(chain)


def _or_error(kind: type[Exception], call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a call returns, or the one kind of error that it may raise."""
    try:
        return call(*arguments, **options)
    except kind as error:
        return error


def _decide(chain: Any) -> None:
    """Decides with facts that are given, so that nothing of this machine plays a part."""
    from policy.environment.discovery import Environment
    from policy.rules.request import Caller, Request

    facts = {
        "writable": False,
        "externally-managed": True,
        "filesystem": "nfs4",
        "host": "login-1",
        "user": "anna",
        "platform": "linux",
    }
    root = "/nix/store/0abc-env"
    environment = Environment(f"{root}/bin/python", root, "virtualenv", "/usr/bin/python3.11")
    caller = Caller({"CI": "1", "DEPLOY": "staging"}, "/", "pip install", "/home/anna/work/app")
    decision = chain.decide(Request(environment, caller, facts))
    assert decision.plan
    assert decision.timeout is None or 0 <= decision.timeout <= 86_400
    assert [step.outcome for step in decision.steps].count("matched") == 1


def check_configuration(data: bytes) -> None:
    """`policy check` answers with one of its exit codes and in whole lines, whatever the format."""
    from policy.__main__ import main

    file = input_file()
    file.write_bytes(data)
    layer = LAYERS[len(data) % len(LAYERS)]
    chosen = CHECK_FORMATS[len(data) // len(LAYERS) % len(CHECK_FORMATS)]
    out, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
        code = main(["check", "--layer", layer, "--output-format", chosen, str(file)])
    assert code in (0, 2), (code, told.getvalue())
    assert "Traceback" not in told.getvalue()
    text = out.getvalue() + told.getvalue()
    assert text.endswith("\n") or not text
    assert not any(character in text for character in "\0\x1b\r\x85\u202e")
    if chosen == "json":
        assert (code == 0) is (json.loads(out.getvalue())["errors"] == 0)


def match_globs(data: bytes) -> None:
    """A pattern is refused by a sentence, or it matches the same way each time, with all below what it matches.

    The pattern is what stands before the first line end, the text what comes after it.
    """
    from policy.rules import globs
    from policy.rules.matcher import path_matcher, text_matcher
    from policy.rules.paths import normal

    pattern, _, text = data.decode("utf-8", "surrogateescape").partition("\n")
    for windows in (False, True):
        wrong = globs.problem(pattern, windows=windows)
        if wrong is not None:  # the reader refuses it, so nothing matches by it
            assert wrong.strip()
            continue
        matches = path_matcher(pattern, "/home/a[b]*", windows=windows)
        path = normal(("C:/" if windows else "/") + text.replace("\0", ""), windows=windows)
        if matches(path):
            prefix = globs.parse(pattern, "/home/a[b]*", windows=windows).prefix
            assert not prefix or path == prefix or path.startswith(prefix + "/")
            assert matches(path.removesuffix("/") + "/below")
    wrong = globs.text_problem(pattern)
    if wrong is not None:
        assert wrong.strip()
        return
    assert text_matcher(pattern)(text) in {True, False}


TARGETS: dict[str, Callable[[bytes], None]] = {
    "read": read_configuration,
    "check": check_configuration,
    "globs": match_globs,
}


@contextlib.contextmanager
def in_time(seconds: float = TIMEOUT) -> Iterator[None]:
    """Ends what hangs with an error, however busy the machine is; where there is no such alarm it hangs."""
    if sys.platform == "win32":
        yield
        return

    def stop(number: int, frame: object) -> None:
        del number, frame
        raise AssertionError(f"hung: not done within {seconds} s of the processor")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def megabytes() -> float:
    """The most memory that this program has had since it began; 0 where the system does not count it."""
    if sys.platform == "win32":
        return 0
    try:
        # Not getrusage where this exists: its figure begins with what the process had before execve.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        import resource

        scale = 1024 * 1024 if sys.platform == "darwin" else 1024  # getrusage(2)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def seeds(target: str) -> list[bytes]:
    """The inputs that a fuzzer begins with: the examples, good and bad, or the patterns in them."""
    files = sorted((REPOSITORY / "examples").rglob("*.toml"))
    texts = [file.read_bytes() for file in files]
    if target != "globs":
        return [*texts, b""]
    patterns = {part for text in texts for part in text.split(b'"')[1::2] if b"*" in part or b"[" in part}
    patterns |= {b"/a/**/b*c?[!d-f]", b"**", b"~", b"C:\\a\\*", b"//host/share/*", b"/a**b/**/*"}
    return [pattern + b"\nusr/a/x/b1ce/[d]/below" for pattern in sorted(patterns)]


def changed(chance: random.Random, pool: Sequence[bytes]) -> bytes:
    """One of some inputs, with a few random changes."""
    data = bytearray(chance.choice(pool))
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(data))
        end = min(len(data), at + chance.choice((1, 1, 2, 8, 64)))
        kind = chance.randrange(6)
        if kind == 0:
            data[at:end] = b""
        elif kind == 1:
            data[at:at] = chance.choice(WORDS)
        elif kind == 2:
            data[at:end] = chance.randbytes(end - at)
        elif kind == 3:
            data[at:at] = data[at:end] * chance.choice((2, 10, 500))
        elif kind == 4:
            other = chance.choice(pool)
            begin = chance.randint(0, len(other))
            data[at:at] = other[begin : begin + chance.choice((4, 40, 400))]
        elif at < end:
            data[at] ^= 1 << chance.randrange(8)
    return bytes(data)


def run(target: str, inputs: int, seconds: float, seed: int) -> None:
    """Fuzzes without atheris.

    Args:
        target: Which.
        inputs: How many are tried at the most.
        seconds: When to stop.
        seed: Another one tries other inputs.
    """
    chance = random.Random(seed)  # noqa: S311  (the same inputs each time)
    pool = seeds(target)
    for data in pool:
        attempt(target, data)
    baseline = megabytes()
    used, tried = 0.0, 0
    until = time.monotonic() + seconds
    while tried < inputs and time.monotonic() < until:
        used = attempt(target, changed(chance, pool), baseline)
        tried += 1
    report("random changes", target, tried, used)


def attempt(target: str, data: bytes, baseline: float = math.inf) -> float:
    """Tries one input, and leaves it in a file if it breaks a promise.

    Args:
        target: Which.
        data: The input.
        baseline: Megabytes that the process had before the first input.

    Returns:
        Megabytes that it has had on top of that by now.
    """
    try:
        with in_time():
            TARGETS[target](data)
        used = max(megabytes() - baseline, 0)
        assert used <= MEMORY, f"{used:.0f} MB"
    except BaseException:
        broken = Path(tempfile.gettempdir()) / f"lock-policy-broken-{target}"
        broken.write_bytes(data)
        sys.stderr.write(f"python -m tests.fuzzing {target} --again {broken}\n{data[:400]!r}\n")
        raise
    return used


def run_atheris(target: str, inputs: int, seconds: float, seed: int) -> None:
    """Fuzzes with atheris, which looks for inputs that reach other code; ends the process, as libFuzzer does."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["policy", "tomllib"]):
        for name in ("config.read", "toml.document", "rules.index", "rules.globs", "commands.check", "render.findings"):
            importlib.import_module(f"policy.{name}")
    for data in seeds(target):
        attempt(target, data)
    baseline = megabytes()
    until = time.monotonic() + seconds
    tried = 0
    folder = tempfile.TemporaryDirectory(prefix="lock-policy-corpus-")
    begin, words = Path(folder.name, "begin"), Path(folder.name, "words")

    def one(data: bytes) -> None:
        nonlocal tried
        tried += 1
        used = attempt(target, data, baseline)
        if tried == inputs or time.monotonic() > until:
            report("atheris", target, tried, used)
            folder.cleanup()
            tidy()
            os._exit(0)  # libFuzzer's own way out tells much, and leaves the folders behind

    begin.mkdir()
    for number, data in enumerate(seeds(target)):
        (begin / str(number)).write_bytes(data)
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in WORDS), encoding="ascii")
    # What breaks a promise is kept by `attempt`; its alarm is the one that counts.
    options = [f"-seed={seed}", f"-dict={words}", "-max_len=16384", f"-artifact_prefix={folder.name}/"]
    options += ["-handle_alrm=0", "-timeout=0", "-rss_limit_mb=0", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(begin)], one)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


ENGINES = {"atheris": run_atheris, "random": run}


def report(engine: str, target: str, tried: int, used: float) -> None:
    """One line on stdout."""
    sys.stdout.write(f"{target}: {tried} inputs by {engine}, {used:.0f} MB\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="stop after so many")
    parser.add_argument("--seconds", type=float, default=60, help="stop after so long")
    parser.add_argument("--seed", type=int, default=1, help="another one tries other inputs")
    parser.add_argument("--engine", choices=ENGINES, help="default: atheris if it is installed")
    parser.add_argument("--again", type=Path, metavar="FILE", help="try this input only")
    options = parser.parse_args(argv)
    if options.again:
        attempt(options.target, options.again.read_bytes())
        return 0
    engine = options.engine or ("atheris" if importlib.util.find_spec("atheris") else "random")
    ENGINES[engine](options.target, options.inputs, options.seconds, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
