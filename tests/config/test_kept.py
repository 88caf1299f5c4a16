from __future__ import annotations

import json
import marshal
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import policy
from policy import cache, host
from policy.config import layers, loading, read
from policy.errors import ConfigError
from tests import factories, requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from policy.rules.decision import PlainChain

if sys.platform == "win32":
    pytest.skip("needs POSIX modes and owners", allow_module_level=True)

ONE = '[[rules]]\nname = "one"\nlock = "local"\n'
TWO = '[[rules]]\nname = "two"\nlock = "both"\n'
SAME_SIZE = '[[rules]]\nname = "six"\nlock = "local"\n'


class World:
    """A directory with a configuration file and a cache directory, and a count of how often the file was read.

    Args:
        directory: Where it is made.
        monkeypatch: Counts.
    """

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.file = directory / "lock-policy.toml"
        self.environ: Mapping[str, str] = factories.alone(directory)
        self.read = 0
        really = read.load_chain

        def counting(found: Any) -> Any:
            self.read += 1
            return really(found)

        monkeypatch.setattr(read, "load_chain", counting)

    def write(self, text: str) -> None:
        """A file that is older than the clock's tick, as all but the newest are."""
        factories.written(self.file, text)
        aged()

    def program(self, layer: str = "file") -> PlainChain:
        """The program of the file, as the next process would get it."""
        query = layers.Query(self.environ, "/", "/", config_file=str(self.file))
        (found,) = layers.find(query)
        found.layer = layers.layer(layer)
        return loading.compiled([found], self.environ)

    def name(self) -> str:
        """The name of the first rule."""
        return str(self.program().rules[0].name)

    @property
    def kept(self) -> list[Path]:
        """The files in the cache directory."""
        folder = cache.directory(self.environ)
        return sorted(self.directory.joinpath(folder).glob("rules-*")) if folder else []


def aged() -> None:
    """Lets the clock that stamps files tick."""
    time.sleep(2 * host.TICK_NANOSECONDS / 1e9)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world with one rule."""
    made_here = World(tmp_path, monkeypatch)
    made_here.write(ONE)
    return made_here


def test_read_once(world: World) -> None:
    """A file is read once, however often a program asks for its rules."""
    assert [world.name() for _ in range(3)] == ["one"] * 3
    assert world.read == 1
    (kept,) = world.kept
    assert kept.stat().st_mode & 0o077 == 0


def test_nothing_is_kept_without_files(world: World) -> None:
    """Without a file there is nothing to read, and nothing is written."""
    assert len(loading.compiled([], world.environ).rules) == 6
    assert world.kept == []


def changed(world: World) -> None:
    world.write(SAME_SIZE)


def replaced(world: World) -> None:
    other = factories.written(world.directory / "other", SAME_SIZE)
    status = world.file.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(world.file)
    aged()


def changed_with_the_old_time(world: World) -> None:
    status = world.file.stat()
    world.write(SAME_SIZE)
    os.utime(world.file, ns=(status.st_atime_ns, status.st_mtime_ns))
    aged()


def linked_elsewhere(world: World) -> None:
    factories.written(world.directory / "other", SAME_SIZE)
    world.file.unlink()
    world.file.symlink_to("other")
    aged()


@pytest.mark.parametrize("change", [changed, replaced, changed_with_the_old_time, linked_elsewhere])
def test_changes_are_noticed(world: World, change: Any) -> None:
    """A file that was changed or replaced is read anew, even if its size and its time are the old ones."""
    assert world.name() == "one"
    change(world)
    assert world.name() == "six"
    assert world.name() == "six"
    assert world.read == 2


def test_a_touched_file_is_read_anew(world: World) -> None:
    """Another time is another file, whatever is in it."""
    world.name()
    os.utime(world.file, (1, 1))
    aged()
    assert world.name() == "one"
    assert world.read == 2


def test_another_mode_is_another_file(world: World) -> None:
    """Who may write a file decides whether it is used, so its mode counts."""
    world.name()
    world.file.chmod(0o600)
    aged()
    world.name()
    assert world.read == 2


def test_a_file_as_young_as_the_clock_s_tick_is_not_kept(world: World) -> None:
    """What could be changed again without another time is read each time, until it is old enough."""
    for _ in range(5):
        factories.written(world.file, ONE)
        before = time.time_ns()
        world.name()
        if time.time_ns() - world.file.stat().st_ctime_ns < host.TICK_NANOSECONDS:
            assert world.kept == []
            break
        if before:
            shutil.rmtree(cache.directory(world.environ), ignore_errors=True)
    else:
        pytest.skip("this machine is too busy to be quick once in five times")
    aged()
    world.name()
    assert len(world.kept) == 1


def test_another_layer_is_another_program(world: World) -> None:
    """One file in two layers is two programs: a rule says which layer it is of."""
    assert world.program(layer="user").rules[0].layer == "user"
    assert world.program(layer="system").rules[0].layer == "system"


def test_another_version_reads_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade nothing of the old release is used: not its built-in rules, not its answer to a file's wish."""
    world.write(f'required-version = "=={policy.__version__}"\n{ONE}')
    world.name()
    monkeypatch.setattr(loading, "__version__", "99")
    monkeypatch.setattr(read, "__version__", "99")
    with pytest.raises(ConfigError, match="requires lock-policy"):
        world.name()


def sealed(*parts: Any) -> bytes:
    """What a cached file holds."""
    return cache.sealed(marshal.dumps(parts))


def opened(data: bytes) -> Any:
    """What a cached file holds, without its checksum."""
    return marshal.loads(data[cache.CHECKSUM :])  # noqa: S302  (written by this test)


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "without its end": lambda data: data[:-1],
    "zeros": lambda data: bytes(len(data)),
    "text": lambda _: b"# nothing of ours\n" * 10,
    "without its checksum": lambda data: data[cache.CHECKSUM :],
    "with another bit": lambda data: data[:-5] + bytes([data[-5] ^ 4]) + data[-4:],
    "of another version": lambda data: sealed(cache.VERSION + 1, *opened(data)[1:]),
    "of another key": lambda data: sealed(cache.VERSION, ("x",), opened(data)[2]),
}


@pytest.mark.parametrize("how", sorted(BROKEN))
def test_a_broken_file_is_written_anew(world: World, how: str) -> None:
    """A cached file that is damaged, or of another program, is ignored and replaced."""
    world.name()
    (kept,) = world.kept
    good = kept.read_bytes()
    kept.write_bytes(BROKEN[how](good))
    assert world.name() == "one"
    assert world.read == 2
    assert world.name() == "one"
    assert world.read == 2
    assert kept.read_bytes() == good


def test_deleting_is_safe(world: World) -> None:
    """Deleting the cache directory costs a reading, and nothing else."""
    world.name()
    shutil.rmtree(cache.directory(world.environ))
    assert world.name() == "one"
    assert (world.read, len(world.kept)) == (2, 1)


def unwritable(world: World) -> None:
    if os.geteuid() == 0:  # who writes everywhere but where the kernel itself has the files
        world.environ = {**world.environ, "XDG_CACHE_HOME": "/dev/null/cache"}
        return
    os.makedirs(cache.directory(world.environ), mode=0o700)
    os.chmod(cache.directory(world.environ), 0o500)


def open_to_others(world: World) -> None:
    os.makedirs(cache.directory(world.environ))
    os.chmod(cache.directory(world.environ), 0o777)  # noqa: S103  (that is what is tested)


def another_user_s(world: World) -> None:
    requirements.need_root()
    os.makedirs(cache.directory(world.environ), mode=0o755)
    os.chown(cache.directory(world.environ), factories.NOBODY, factories.NOBODY)


def a_file(world: World) -> None:
    factories.written(world.directory / "cache" / "lock-policy", "")


def no_home(world: World) -> None:
    world.environ = {"HOME": "relative"}


def no_home_at_all(world: World) -> None:
    world.environ = {"XDG_CACHE_HOME": str(world.directory / "no" / "\udcff"), "HOME": "/nonexistent"}


@pytest.mark.parametrize(
    "spoil", [unwritable, open_to_others, another_user_s, a_file, no_home], ids=lambda function: function.__name__
)
def test_without_a_cache_directory(world: World, spoil: Any) -> None:
    """Where no cache can be kept, or none be trusted, rules are read each time, and that is no error."""
    spoil(world)
    assert [world.name() for _ in range(2)] == ["one"] * 2
    assert world.read == 2
    assert world.kept == []


def test_a_home_that_does_not_exist(world: World) -> None:
    """A home directory that is not there, in a name that is no text, is made or is left, and that is no error."""
    no_home_at_all(world)
    assert [world.name() for _ in range(2)] == ["one"] * 2


def test_a_planted_file_is_not_used(world: World) -> None:
    """A cached file that others may write, or that is a link, decides nothing."""
    world.name()
    (kept,) = world.kept
    data = opened(kept.read_bytes())
    row = marshal.dumps(("both", (), "planted", None, True, "", False, "x", 1, "file"))
    planted = sealed(*data[:2], ((row,), *data[2][1:]))
    kept.write_bytes(planted)
    kept.chmod(0o666)
    assert world.name() == "one"
    kept.unlink()
    factories.written(world.directory / "planted", "").write_bytes(planted)
    (world.directory / "planted").chmod(0o600)
    kept.symlink_to(world.directory / "planted")
    assert world.name() == "one"
    assert (world.directory / "planted").read_bytes() == planted


def test_a_link_that_leads_out_of_the_project(world: World) -> None:
    """A project's directory for locks that a link has led out of it is refused, though the file is the same."""
    project = world.directory / "project"
    world.file = project / "lock-policy.toml"
    (project / "sub" / "locks").mkdir(parents=True)
    world.write('global-dir = "sub/locks"\n')
    assert world.program(layer="project").setting("global-dir") == str(project / "sub" / "locks")
    (project / "sub").rename(world.directory / "elsewhere")
    (project / "sub").symlink_to(world.directory / "elsewhere")
    with pytest.raises(ConfigError, match="inside its own folder"):
        world.program(layer="project")


def test_the_project_itself_for_locks(world: World) -> None:
    """A project may keep locks in its own directory, and reading that is kept as anything else."""
    world.write('global-dir = "."\n')
    for _ in range(2):
        assert world.program(layer="project").setting("global-dir") == str(world.directory)
    assert world.read == 1


HAMMER = """
import sys
from policy.config import loading
from policy.rules.decision import PlainChain
from policy.config import layers
environ = {"HOME": sys.argv[1], "XDG_CACHE_HOME": sys.argv[1]}
for number in range(int(sys.argv[3])):
    query = layers.Query(environ, "/", "/", config_file=sys.argv[2])
    (found,) = layers.find(query)
    found.layer = layers.LAYERS[(number + int(sys.argv[4])) % len(layers.LAYERS)]
    program = loading.compiled([found], environ)
    assert program.rules[0].name == "one", program.rules[0]
"""


def test_many_write_at_once(world: World) -> None:
    """Processes that write one cached file at once, each for another key, never meet half a file, and leave none."""
    words = [sys.executable, "-c", HAMMER, str(world.directory), str(world.file), "100"]
    running = [
        subprocess.Popen([*words, str(number)], cwd=factories.CHECKOUT, stderr=subprocess.PIPE, text=True)
        for number in range(3)
    ]
    for process in running:
        _, said = process.communicate(timeout=factories.TIMEOUT)
        assert process.returncode == 0, said
    folder = world.directory / "lock-policy"
    assert [path.name.partition("-")[0] for path in folder.iterdir()] == ["rules"]


def test_rules_are_thawed_when_asked_for() -> None:
    """Of many rules only those that are looked at are made."""
    rules = loading.Thawed([marshal.dumps((("local",), (), str(number))) for number in range(100)])
    assert len(rules) == 100
    assert rules[7].name == "7"
    assert rules[7] is rules[7]
    assert list(rules._thawed) == [7]
    assert [rule.name for rule in rules] == [str(number) for number in range(100)]


TEXTS = st.sampled_from(["a*", "b", "*", "x?"])
PATHS = st.sampled_from(["/srv/**", "~/x", "**/env", "/srv/[a-z]*/env", "/nowhere"])
MATCH = st.recursive(
    st.dictionaries(
        st.sampled_from(["interpreter", "environment"]), st.lists(PATHS, min_size=1, max_size=2), min_size=1
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"env": st.fixed_dictionaries({"CI": st.booleans(), "X": TEXTS})}),
        st.fixed_dictionaries({"writable": st.booleans(), "operation": TEXTS}),
    ),
    max_leaves=3,
)
RULE = st.fixed_dictionaries(
    {"lock": st.sampled_from(["local", "global", "both"])},
    optional={
        "match": MATCH,
        "name": st.text("ab é🔒", min_size=1, max_size=5),
        "timeout": st.one_of(st.integers(0, 9), st.floats(0, 9)),
        "required": st.booleans(),
        "reason": st.text(max_size=8),
    },
)
FILES = st.fixed_dictionaries(
    {}, optional={"rules": st.lists(RULE, max_size=5), "timeout": st.integers(0, 99), "global-dir": st.just("/g")}
)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=FILES, operation=st.sampled_from(["add", "b", ""]), ci=st.sampled_from(["1", "0", "x"]))
def test_the_same_with_and_without_a_cache(tmp_path: Path, content: dict[str, Any], operation: str, ci: str) -> None:
    """Whatever a file says, what `explain` prints is the same to the byte, from rules that were read or kept."""
    from policy.config.loading import Rules
    from policy.render.record import record

    root = tmp_path / "srv" / "env"
    if not root.exists():
        factories.virtualenv(root)
    file = factories.written(tmp_path / "a.toml", "")
    file.write_bytes(tomli_w.dumps(content).encode("utf-8", "backslashreplace"))
    aged()
    environ = {**factories.alone(tmp_path), "CI": ci, "X": "ab"}

    def explained(variables: dict[str, str]) -> tuple[str, Any, Any]:
        asked = factories.request(variables, root=str(root), operation=operation)
        decision = Rules(config_file=str(file)).decide(asked)
        return json.dumps(record(decision)), decision.timeout, decision.required

    without = explained({**environ, "XDG_CACHE_HOME": "/dev/null"})
    assert explained(environ) == without
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read, "load_chain", lambda _: pytest.fail("read again"))
        assert explained(environ) == without


def test_explain_prints_the_same(world: World) -> None:
    """`policy explain --output-format json` gives the same bytes in the process that reads and in those that follow."""
    root = factories.virtualenv(world.directory / "env")
    words = ("explain", str(root), "--config-file", str(world.file), "--output-format", "json")
    outputs = [factories.policy(*words, environ=world.environ, cwd=world.directory).stdout for _ in range(3)]
    assert len(set(outputs)) == 1
    assert json.loads(outputs[0])["rule"]["name"] == "one"
    assert len(world.kept) == 1
