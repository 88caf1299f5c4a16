"""Runs checks in children that can be given up: a lock that never returns must not stop the doctor."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

from attrs import asdict, frozen

from policy.commands.health.finding import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from policy.commands.health.finding import Surroundings

    Check = Callable[[Surroundings], Iterable[Finding]]

SECONDS = 6.0  # for all checks together
_REAPING = 0.5  # seconds for a killed child to go


@frozen
class Child:
    """A check that runs.

    Args:
        pid: Of the process, which leads a group.
        descriptor: Where its answer comes from.
    """

    pid: int
    descriptor: int


def examine(
    checks: Mapping[str, Check], surroundings: Surroundings, seconds: float = SECONDS
) -> dict[str, list[Finding] | None]:
    """Makes all checks at once.

    Args:
        checks: By name.
        surroundings: What they look at.
        seconds: How long they have.

    Returns:
        What each found; None where it did not come to its end.
    """
    if sys.platform != "win32":
        children: dict[str, Child] = {}
        try:
            for name, check in checks.items():
                children[name] = _start(check, surroundings, [child.descriptor for child in children.values()])
            answers = _gather(children, time.monotonic() + seconds)
        finally:
            _end(list(children.values()))
        return {name: _findings(answers[name]) for name in checks}
    return {name: list(check(surroundings)) for name, check in checks.items()}


def _findings(answer: bytes) -> list[Finding] | None:
    try:
        return [Finding(**one) for one in json.loads(answer)]
    except (ValueError, TypeError):
        return None


if sys.platform != "win32":

    def _start(check: Check, surroundings: Surroundings, others: Sequence[int]) -> Child:
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            os.close(writing)
            return Child(pid, reading)
        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            for descriptor in (reading, *others):
                os.close(descriptor)
            answer = json.dumps([asdict(finding) for finding in _made(check, surroundings)])
            os.write(writing, answer.encode("ascii"))
        finally:
            os._exit(0)

    def _made(check: Check, surroundings: Surroundings) -> list[Finding]:
        try:
            return list(check(surroundings))
        except Exception as error:  # noqa: BLE001  (whatever goes wrong in one check, the others have something to say)
            reason = f"{type(error).__name__}: {error}"
            return [Finding("no-answer", f"a check failed: {reason}", "policy doctor --output-format json")]

    def _gather(children: Mapping[str, Child], until: float) -> dict[str, bytes]:
        """What each wrote until it closed its pipe, or time was up."""
        answers = dict.fromkeys(children, b"")
        waiting = {child.descriptor: name for name, child in children.items()}
        poll = select.poll()
        for descriptor in waiting:
            poll.register(descriptor, select.POLLIN)
        while waiting and (left := until - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left * 1000):
                piece = os.read(descriptor, 65536)
                answers[waiting[descriptor]] += piece
                if not piece:
                    poll.unregister(descriptor)
                    del waiting[descriptor]
        for name in waiting.values():
            answers[name] = b""
        return answers

    def _end(children: Sequence[Child]) -> None:
        """Ends the groups of all, and does not wait for what even SIGKILL does not end: a process in the kernel."""
        for child in children:
            os.close(child.descriptor)
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                try:
                    os.kill(child.pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        until = time.monotonic() + _REAPING
        for child in children:
            while not os.waitpid(child.pid, os.WNOHANG)[0] and time.monotonic() < until:
                time.sleep(0.005)
