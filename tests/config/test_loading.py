from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from policy import host
from policy.config import layers, loading
from policy.config.loading import Rules, seconds
from policy.errors import ConfigError, UsageError
from policy.locks.file import FileLock
from policy.rules.request import Caller, Request
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from policy.rules.decision import Decision, PlainChain

if sys.platform == "win32":
    pytest.skip("needs POSIX paths", allow_module_level=True)

GLOBAL = '[[rules]]\nname = "mine"\nlock = "global"\n'
BOTH = '[[rules]]\nname = "mine"\nlock = "both"\n'


def request(tmp_path: Path, environ: Mapping[str, str] | None = None, **caller: Any) -> Request:
    """A question about an environment in the test's directory."""
    variables = {**factories.alone(tmp_path), **(environ or {})}
    return Request(factories.environment(str(tmp_path / "env")), Caller(variables, str(tmp_path), **caller))


# Timeouts


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0), (1.5, 1.5), ("1.5", 1.5), (86400, 86400), ("0", 0), ("1e3", 1000)]
)
def test_seconds(value: object, expected: float) -> None:
    """A timeout is a number of seconds, or text of one."""
    assert seconds(value, "--timeout") == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "nan",
        "inf",
        "-inf",
        "-1",
        "86401",
        -1,
        float("nan"),
        float("inf"),
        86400.5,
        10**400,
        True,
        False,
        None,
        [],
    ],
)
def test_no_seconds(value: object) -> None:
    """A timeout is finite, not negative, within a day, and no boolean."""
    with pytest.raises(UsageError, match=r"^--timeout must be a number of seconds from 0 to 86400$"):
        seconds(value, "--timeout")


@pytest.mark.parametrize("value", [float("nan"), -1, True, 10**400])
def test_rules_refuse(value: float) -> None:
    """A timeout of the caller's is judged when it is said."""
    with pytest.raises(UsageError, match=r"^timeout must be a number of seconds from 0 to 86400$"):
        Rules(timeout=value)


def test_timeout_layers(tmp_path: Path) -> None:
    """The caller's timeout stands before LOCK_POLICY_TIMEOUT, that before the rule's, that before the files'."""
    asked, variable = request(tmp_path), {"LOCK_POLICY_TIMEOUT": "2"}
    assert Rules().decide(asked).timeout is None
    factories.written(tmp_path / "lock-policy.toml", "timeout = 4\n")
    assert Rules().decide(asked).timeout == 4
    factories.written(tmp_path / "lock-policy.toml", "timeout = 4\n" + GLOBAL + "timeout = 3\n")
    assert Rules().decide(asked).timeout == 3
    assert Rules().decide(request(tmp_path, variable)).timeout == 2
    assert Rules(timeout=1).decide(request(tmp_path, variable)).timeout == 1


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "-1", "86401"])
def test_bad_timeout_variable(tmp_path: Path, value: str) -> None:
    """A LOCK_POLICY_TIMEOUT that cannot be one is an error, empty too."""
    with pytest.raises(UsageError, match=r"^LOCK_POLICY_TIMEOUT must be a number of seconds from 0 to 86400$"):
        Rules().decide(request(tmp_path, {"LOCK_POLICY_TIMEOUT": value}))


# Global directories


def test_directory_layers(tmp_path: Path) -> None:
    """The caller's global-dir stands before LOCK_POLICY_GLOBAL_DIR, that before the files', that before the default."""
    asked, variable = (
        request(tmp_path, {"UV_ONLY_GLOBAL_LOCKS": "1"}),
        {"UV_ONLY_GLOBAL_LOCKS": "1", "LOCK_POLICY_GLOBAL_DIR": "/v/./x"},
    )

    def directory(rules: Rules, asked: Request) -> str:
        return directory_of(rules.decide(asked))

    assert directory(Rules(), asked) == ""
    factories.written(tmp_path / "home/.config/lock-policy/lock-policy.toml", 'global-dir = "/u"\n')
    assert directory(Rules(), asked) == "/u"
    assert directory(Rules(), request(tmp_path, variable)) == "/v/x"
    assert directory(Rules(global_dir="/o/"), request(tmp_path, variable)) == "/o"


@pytest.mark.parametrize("value", ["", "locks", "./locks", "~/locks"])
def test_relative_directory(tmp_path: Path, value: str) -> None:
    """A global-dir of the caller's is absolute."""
    with pytest.raises(UsageError, match=r"^LOCK_POLICY_GLOBAL_DIR must be an absolute path$"):
        Rules().decide(request(tmp_path, {"LOCK_POLICY_GLOBAL_DIR": value}))
    with pytest.raises(UsageError, match=r"^--global-dir must be an absolute path$"):
        Rules(global_dir=value).decide(request(tmp_path))


def test_directory_with_nul(tmp_path: Path) -> None:
    """A directory that no file system can have is an error."""
    with pytest.raises(UsageError, match=r"^--global-dir must be an absolute path$"):
        Rules(global_dir="/a\0b").decide(request(tmp_path))


# Files that change


def test_notices_changes(tmp_path: Path) -> None:
    """A file that is made, changed, replaced, made unusable or removed is noticed by the next question."""
    rules, file = Rules(), tmp_path / "lock-policy.toml"

    def decided() -> tuple[str, ...]:
        return rules.decide(request(tmp_path)).lock

    assert decided() == ("local",)
    factories.written(file, BOTH)
    assert decided() == ("global", "local")
    factories.written(file, GLOBAL + "timeout = 5\n")
    assert rules.decide(request(tmp_path)).timeout == 5
    os.replace(factories.written(tmp_path / "new", BOTH), file)
    assert decided() == ("global", "local")
    factories.written(file, "lock = 1\n")
    with pytest.raises(ConfigError):
        decided()
    file.unlink()
    assert rules.decide(request(tmp_path)).rule.name == "environment"


def test_notices_same_size_and_time(tmp_path: Path) -> None:
    """A change that keeps size and mtime is noticed: the ctime tells."""
    rules = Rules()
    file = factories.written(tmp_path / "lock-policy.toml", '[[rules]]\nlock = "both" \n')
    before = file.stat()
    assert rules.decide(request(tmp_path)).lock == ("global", "local")
    factories.written(file, '[[rules]]\nlock = "local"\n')
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert rules.decide(request(tmp_path)).lock == ("local",)


def settle() -> None:
    """Waits until the next change of a file must have another timestamp: until then it is read each time."""
    time.sleep(2 * host.TICK_NANOSECONDS / 1e9)


def test_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that do not change are read once, however many questions there are."""
    factories.written(tmp_path / "lock-policy.toml", BOTH)
    settle()
    times: list[int] = []
    chain = loading.compiled

    def counting(*arguments: Any) -> PlainChain:
        times.append(1)
        return chain(*arguments)

    monkeypatch.setattr(loading, "compiled", counting)
    rules = Rules()
    for _ in range(5):
        rules.decide(request(tmp_path))
    assert len(times) == 1
    factories.written(tmp_path / "lock-policy.toml", GLOBAL)
    settle()
    for _ in range(5):
        rules.decide(request(tmp_path))
    assert len(times) == 2


def test_searched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all that was looked at is as it was, no second search is made; and where a variable is another, one is."""
    factories.written(tmp_path / "lock-policy.toml", BOTH)
    settle()
    rules = Rules()
    rules.decide(request(tmp_path))
    searches: list[layers.Query] = []
    find = layers.find

    def counting(query: layers.Query) -> tuple[layers.Source, ...]:
        searches.append(query)
        return find(query)

    monkeypatch.setattr(layers, "find", counting)
    assert rules.decide(request(tmp_path)).lock == ("global", "local")
    assert not searches
    rules.decide(request(tmp_path, {"LOCK_POLICY_TIMEOUT": "1"}))
    assert len(searches) == 1


class World:
    """Folders in which every layer can have a file, and the lock that the rules choose there.

    Args:
        base: Where they lie.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.environ = {**factories.alone(base), "XDG_CONFIG_DIRS": f"{base}/etc:{base}/etc2"}
        self.work = base / "work" / "project"
        self.root = self.work / "env"
        self.root.mkdir(parents=True)
        self.cwd = str(self.base)
        self.rules = Rules()

    @property
    def lock(self) -> tuple[str, ...]:
        """Where the lock lives by the rules as they stand now; a fresh set of rules says the same."""
        found = [one.decide(self.request) for one in (self.rules, Rules(project=self.rules.project))]
        assert found[0].lock == found[1].lock
        assert (found[0].timeout, found[0].warnings) == (found[1].timeout, found[1].warnings)
        return found[0].lock

    @property
    def request(self) -> Request:
        """A question about the environment."""
        return Request(factories.environment(str(self.root)), Caller(self.environ, self.cwd))

    def known(self) -> None:
        """Asks often enough for all to be remembered."""
        settle()
        self.rules.decide(self.request)
        self.rules.decide(self.request)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


PLACES = [
    "work/project/env/lock-policy.toml",
    "work/project/lock-policy.toml",
    "work/project/pyproject.toml",
    "work/lock-policy.toml",
    "lock-policy.toml",
    "home/.config/lock-policy/lock-policy.toml",
    "etc/lock-policy/lock-policy.toml",
    "etc2/lock-policy/lock-policy.toml",
]


def text_for(file: Path, lock: str) -> str:
    """A file with one rule, as its name wants it."""
    table = "[[tool.lock-policy.rules]]" if file.name == "pyproject.toml" else "[[rules]]"
    return f'{table}\nlock = "{lock}"\n'


@pytest.mark.parametrize("place", PLACES)
def test_notices_a_file_at_every_level(world: World, place: str) -> None:
    """A file that is made, edited in its length, replaced and removed is noticed at every place that is looked at."""
    file = world.base / place
    world.known()
    assert world.lock == ("local",)
    factories.written(file, text_for(file, "global"))
    assert world.lock == ("global",)
    world.known()
    factories.written(file, text_for(file, "beside"))
    assert world.lock == ("beside",)
    world.known()
    os.replace(factories.written(world.base / "new", text_for(file, "global")), file)
    assert world.lock == ("global",)
    world.known()
    file.unlink()
    assert world.lock == ("local",)


@pytest.mark.parametrize("place", PLACES)
def test_notices_a_link(world: World, place: str) -> None:
    """A link that is made, led elsewhere and cut is noticed, and so is a link in the place of its folder."""
    file = world.base / place
    one, two = (world.base / "files" / name / file.name for name in ("one", "two"))
    factories.written(one, text_for(file, "global"))
    factories.written(two, text_for(file, "beside"))
    world.known()
    file.parent.mkdir(parents=True, exist_ok=True)
    for target, expected in ((one, ("global",)), (two, ("beside",)), (one, ("global",))):
        file.unlink(missing_ok=True)
        file.symlink_to(target)
        assert world.lock == expected
        world.known()
    factories.written(one, text_for(file, "beside"))
    assert world.lock == ("beside",)
    file.unlink()
    assert world.lock == ("local",)


def test_notices_a_folder_that_is_replaced(world: World) -> None:
    """A link in the place of a folder above leads to other files, and is noticed."""
    other = World(world.base / "other")
    factories.written(other.work / "lock-policy.toml", GLOBAL)
    world.known()
    assert world.lock == ("local",)
    os.rename(world.base / "work", world.base / "before")
    (world.base / "work").symlink_to(other.base / "work")
    assert world.lock == ("global",)
    world.known()
    (world.base / "work").unlink()
    os.rename(world.base / "before", world.base / "work")
    assert world.lock == ("local",)


def test_notices_who_may_write(world: World) -> None:
    """A file that everyone may write since it was read is ignored, with a warning, and counts again afterwards."""
    file = factories.written(world.work / "lock-policy.toml", GLOBAL)
    world.known()
    for mode, expected in ((0o666, ("local",)), (0o644, ("global",))):
        file.chmod(mode)
        assert world.lock == expected
        world.known()


@pytest.mark.parametrize(
    "variable",
    [
        {"HOME": "/nowhere", "XDG_CONFIG_HOME": ""},
        {"XDG_CONFIG_HOME": "/nowhere"},
        {"LOCK_POLICY_NO_CONFIG": "1"},
        {"LOCK_POLICY_CONFIG_FILE": "named.toml"},
    ],
)
def test_notices_a_variable(world: World, variable: dict[str, str]) -> None:
    """A variable that leads to other files is noticed, and so is its old value."""
    factories.written(world.base / "home/.config/lock-policy/lock-policy.toml", GLOBAL)
    factories.written(world.base / "named.toml", '[[rules]]\nlock = "local"\n')
    before = world.environ
    for _ in range(2):
        world.environ = before
        world.known()
        assert world.lock == ("global",)
        world.environ = {**before, **variable}
        world.known()
        assert world.lock == ("local",)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LOCK_POLICY_MAX_SIZE", "x", "LOCK_POLICY_MAX_SIZE must be"),
        ("LOCK_POLICY_TIMEOUT", "x", "LOCK_POLICY_TIMEOUT must be"),
        ("LOCK_POLICY_GLOBAL_DIR", "x", "LOCK_POLICY_GLOBAL_DIR must be"),
        ("LOCK_POLICY_CLUSTER_SERVICE", "", "LOCK_POLICY_CLUSTER_SERVICE must be"),
        ("LOCK_POLICY_NO_CONFIG", "x", "LOCK_POLICY_NO_CONFIG must be"),
        ("LOCK_POLICY_CONFIG_FILE", "none.toml", "none.toml: no such file"),
    ],
)
def test_notices_a_wrong_variable(world: World, name: str, value: str, message: str) -> None:
    """A variable that cannot be used is an error at the next question, not only at the first."""
    world.known()
    world.environ = {**world.environ, name: value}
    with pytest.raises(UsageError, match=message):
        world.rules.decide(world.request)


def test_notices_a_fault(world: World) -> None:
    """A file that becomes faulty is an error each time, until it is mended."""
    file = factories.written(world.work / "lock-policy.toml", GLOBAL)
    world.known()
    factories.written(file, "rules = 1\n")
    settle()
    for _ in range(2):
        with pytest.raises(ConfigError):
            world.rules.decide(world.request)
    factories.written(file, GLOBAL)
    assert world.lock == ("global",)


def test_notices_another_directory(world: World) -> None:
    """Another working directory leads to another file where the environment has none."""
    factories.written(world.base / "elsewhere" / "lock-policy.toml", GLOBAL)
    world.known()
    assert world.lock == ("local",)
    world.cwd = str(world.base / "elsewhere")
    assert world.lock == ("global",)
    world.cwd = str(world.base)
    assert world.lock == ("local",)


def test_notices_a_project_that_is_gone(world: World) -> None:
    """The folder that `project` names must be there at each question."""
    world.rules.project = str(world.base / "named")
    factories.written(world.base / "named" / "lock-policy.toml", GLOBAL)
    world.known()
    assert world.lock == ("global",)
    shutil.rmtree(world.base / "named")
    with pytest.raises(UsageError, match="no such directory"):
        world.rules.decide(world.request)


def test_notices_where_global_dir_leads(world: World) -> None:
    """A link that comes to lead a project's directory for locks out of it is an error at the next question."""
    factories.written(world.work / "lock-policy.toml", f'global-dir = "locks"\n{GLOBAL}')
    (world.work / "locks").mkdir()
    world.known()
    assert world.lock == ("global",)
    (world.work / "locks").rmdir()
    (world.work / "locks").symlink_to(world.base)
    with pytest.raises(ConfigError):
        world.rules.decide(world.request)


def test_young_files_are_read_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has just been written is not remembered: its next change may have the same timestamps."""
    monkeypatch.setattr(host, "TICK_NANOSECONDS", 3_600_000_000_000)
    file = factories.written(tmp_path / "lock-policy.toml", '[[rules]]\nlock = "both" \n')
    trail = host.Trail()
    rules, identity = Rules(), trail.look(str(file))
    assert rules.decide(request(tmp_path)).lock == ("global", "local")
    factories.written(file, '[[rules]]\nlock = "local"\n')
    monkeypatch.setattr(host, "_identity", lambda path: identity if path == str(file) else None)
    assert rules.decide(request(tmp_path)).lock == ("local",)


def test_two_environments(tmp_path: Path) -> None:
    """One set of rules answers for environments of several projects, each by its own files, for one caller."""
    rules = Rules()
    caller = Caller(factories.alone(tmp_path), str(tmp_path))
    factories.written(tmp_path / "a" / "lock-policy.toml", '[[rules]]\nlock = "both"\nmatch.project = "**/a"\n')
    factories.written(tmp_path / "b" / "lock-policy.toml", '[[rules]]\nlock = "global"\nmatch.project = "**/b"\n')
    for name, expected in [("a", ("global", "local")), ("b", ("global",)), ("a", ("global", "local"))]:
        asked = Request(factories.environment(f"{tmp_path}/{name}/.venv"), caller)
        assert (rules.decide(asked).lock, rules.decide(asked).rule.layer) == (expected, "project")
    assert caller.project is None


# Which files


def test_arguments(tmp_path: Path) -> None:
    """`project`, `config_file` and `no_config` mean what the options of the command line mean."""
    factories.written(tmp_path / "p" / "lock-policy.toml", BOTH)
    named = factories.written(tmp_path / "named.toml", '[[rules]]\nlock = "local"\n')
    assert Rules(project="p").decide(request(tmp_path)).lock == ("global", "local")
    assert Rules(config_file=str(named)).decide(request(tmp_path)).lock == ("local",)
    assert Rules(config_file="named.toml").decide(request(tmp_path)).rule.layer == "file"
    assert Rules(project="p", no_config=True).decide(request(tmp_path)).rule.layer == "built-in"


def test_setting(tmp_path: Path) -> None:
    """A single setting can be asked for without an environment: as it applies in the working directory."""
    factories.written(tmp_path / "lock-policy.toml", "timeout = 5\n")
    rules = Rules(global_dir="/g")
    caller = Caller(factories.alone(tmp_path), str(tmp_path))
    assert (rules.setting("timeout", caller), rules.setting("global-dir", caller)) == (5, "/g")
    assert Rules().setting("global-dir", caller) is None


def test_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`chain` has the rules and settings of the working directory as they are now, and decides as they do."""
    for name, value in factories.alone(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    rules, file = Rules(), tmp_path / "lock-policy.toml"
    factories.written(file, f'timeout = 5\n{GLOBAL}match.user = "nobody-at-all"\n{BOTH}'.replace("mine", "first", 1))
    chain = rules.chain
    assert [rule.name for rule in chain.rules][:2] == ["first", "mine"]
    assert chain.rules[0].match == (("user", ("nobody-at-all",)),)
    assert chain.settings["timeout"].value == 5
    ours, theirs = chain.decide(request(tmp_path)), rules.decide(request(tmp_path))
    assert (ours.rule.name, ours.lock, ours.timeout) == (theirs.rule.name, theirs.lock, theirs.timeout)
    assert (ours.rule.name, ours.timeout) == ("mine", 5)
    factories.written(file, "lock = 1\n")
    with pytest.raises(ConfigError):
        _ = rules.chain
    assert chain.decide(request(tmp_path)).rule.name == "mine"


def test_warnings(tmp_path: Path) -> None:
    """What was noticed while looking for files goes with the decision that it is about, and with no other."""
    rules, file = Rules(), factories.written(tmp_path / "lock-policy.toml", BOTH)
    file.chmod(0o666)
    first = rules.decide(request(tmp_path))
    file.chmod(0o644)
    assert rules.decide(request(tmp_path)).warnings == ()
    assert first.warnings == (f"{file} is ignored: everyone can write it; use `chmod o-w` on it",)


def test_project_fact(tmp_path: Path) -> None:
    """`project` is the directory that was named, else the one whose configuration was found, else nothing."""
    text = '[[rules]]\nlock = "both"\nmatch.project = "**/p"\n'
    factories.written(tmp_path / "home/.config/lock-policy/lock-policy.toml", text)
    assert Rules().decide(request(tmp_path)).lock == ("local",)
    factories.written(tmp_path / "p" / "lock-policy.toml", "timeout = 5\n")
    assert Rules(project="p").decide(request(tmp_path)).lock == ("global", "local")
    assert Rules(project=f"{tmp_path}/p/./").decide(request(tmp_path)).lock == ("global", "local")
    assert Rules().decide(request(tmp_path, project=f"{tmp_path}/p")).lock == ("global", "local")
    inside = Request(factories.environment(f"{tmp_path}/p/.venv"), Caller(factories.alone(tmp_path), str(tmp_path)))
    assert Rules().decide(inside).lock == ("global", "local")


# What layers may do to each other

MANDATORY = '[[rules]]\nname = "site"\nlock = "global"\nmandatory = true\n'


def directory_of(decision: Decision) -> str:
    """Where the global lock of a decision lies; "" where there is none."""
    files = [lock for lock in decision.plan if isinstance(lock, FileLock)]
    return next((os.path.dirname(file.path) for file in files if file.purpose == "global"), "")


@pytest.mark.parametrize(
    ("options", "environ"),
    [
        ({}, {}),
        ({"no_config": True}, {}),
        ({}, {"LOCK_POLICY_NO_CONFIG": "1"}),
        ({"config_file": "mine.toml"}, {}),
        ({}, {"LOCK_POLICY_CONFIG_FILE": "mine.toml"}),
        ({"global_dir": "/moved"}, {}),
        ({}, {"LOCK_POLICY_GLOBAL_DIR": "/moved"}),
    ],
)
def test_mandatory_rule_decides_for_everybody(tmp_path: Path, options: Any, environ: dict[str, str]) -> None:
    """No option and no variable leads around a mandatory rule, or moves its lock; no file does either."""
    factories.written(tmp_path / "etc/lock-policy/lock-policy.toml", 'global-dir = "/s"\n' + MANDATORY)
    factories.written(tmp_path / "home/.config/lock-policy/lock-policy.toml", 'global-dir = "/u"\n' + BOTH)
    factories.written(tmp_path / "lock-policy.toml", 'global-dir = "locks"\n' + BOTH)
    factories.written(tmp_path / "mine.toml", 'global-dir = "/m"\n' + BOTH)
    decision = Rules(**options).decide(request(tmp_path, environ))
    assert decision.rule.name == "site"
    assert directory_of(decision) == "/s"


def test_project_moves_only_its_own_locks(tmp_path: Path) -> None:
    """A project's global-dir is where its own rules lock, and moves neither a built-in rule's lock nor anybody's."""
    factories.written(tmp_path / "lock-policy.toml", 'global-dir = "locks"\n')
    assert directory_of(Rules().decide(request(tmp_path))) == ""
    factories.written(tmp_path / "lock-policy.toml", 'global-dir = "locks"\n' + GLOBAL)
    assert directory_of(Rules().decide(request(tmp_path))) == f"{tmp_path}/locks"


def test_unlocked_only_below_the_project(tmp_path: Path) -> None:
    """`required = false` of a project counts below its folder, links resolved; a user's counts everywhere."""
    text = GLOBAL + "required = false\n"
    factories.written(tmp_path / "p" / "lock-policy.toml", text)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "p" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "into").symlink_to(tmp_path / "p")
    caller = Caller(factories.alone(tmp_path), str(tmp_path / "p"))

    def required(root: str) -> bool:
        decision = Rules().decide(Request(factories.environment(f"{tmp_path}/{root}"), caller))
        assert decision.rule.name == "mine"
        return decision.required

    assert not required("p/.venv")
    assert not required("into/.venv")
    assert required("elsewhere")
    assert required("p/link")
    assert required("p2/.venv")
    (tmp_path / "p" / "lock-policy.toml").unlink()
    factories.written(tmp_path / "home/.config/lock-policy/lock-policy.toml", text)
    assert not required("elsewhere")


def test_cluster_service(tmp_path: Path) -> None:
    """The caller's service replaces the address that files have, and nothing else; the option is the stronger."""
    factories.written(
        tmp_path / "home/.config/lock-policy/lock-policy.toml",
        '[cluster]\nengine = "postgresql"\nhost = "h"\nport = 1\nlease = 60\n',
    )
    caller = Caller({**factories.alone(tmp_path), "LOCK_POLICY_CLUSTER_SERVICE": "v"}, str(tmp_path))
    assert dict(Rules().setting("cluster", caller)) == {"engine": "postgresql", "lease": 60, "service": "v"}
    assert dict(Rules(cluster_service="o").setting("cluster", caller))["service"] == "o"
    with pytest.raises(UsageError, match=r"^--cluster-service must be the name of a service in pg_service\.conf$"):
        Rules(cluster_service="").setting("cluster", caller)


def test_every_value(tmp_path: Path) -> None:
    """Of a directory that each layer has, every value is known, the strongest layer's first."""
    factories.written(tmp_path / "lock-policy.toml", 'global-dir = "locks"\n')
    factories.written(tmp_path / "home/.config/lock-policy/lock-policy.toml", 'global-dir = "/u"\n')
    factories.written(tmp_path / "etc/lock-policy/lock-policy.toml", 'global-dir = "/s"\n')
    caller = Caller(factories.alone(tmp_path), str(tmp_path))
    assert Rules(global_dir="/o").values("global-dir", caller) == ["/o", f"{tmp_path}/locks", "/u", "/s"]
    assert Rules().values("gate-dir", caller) == []
