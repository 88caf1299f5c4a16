"""The names of the files that uv locks.

Every lock that uv keeps outside an environment is called after a path: `uv-<digest>.lock`, in uv's temporary
directory, where the path is an interpreter's `sys.executable` as spelled, a workspace's root or a script. A digest that
is off by one bit is another file, and no exclusion at all, so each step here follows uv's source (`uv-cache-key`,
`uv-fs`, `uv-python`) and is compared with real uv by the tests.
"""

from __future__ import annotations

import os
import sys

from policy import host
from policy.seahash import seahash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_WORD = 8
_U64 = 0xFFFFFFFFFFFFFFFF

_FOLDERS = ("/bin", "/usr/bin")  # one of them is a link to the other where /usr is merged

# What `derive(Hash)` writes for a variant of `std::path::Prefix` on Windows: its number.
_UNC = 4
_DISK = 5


def digest(path: str) -> str:
    """The `cache_digest` of a path, as uv makes it.

    Args:
        path: As uv has it; nothing is resolved.

    Returns:
        16 hexadecimal digits.
    """
    return seahash(_hashed(path)).to_bytes(_WORD, "little").hex()


def _hashed(path: str) -> bytes:
    """What Rust's `impl Hash for Path` writes to its hasher.

    That is the components without separators, empty ones and inner `.` left out and `..` kept, then bits that tell
    where the components end, as a `usize`.
    """
    if sys.platform == "win32":
        prefix, rest = _windows_prefix(path)
        encoded = rest.replace("\\", "/").encode("utf-8", "surrogatepass")
    else:
        prefix, encoded = b"", os.fsencode(path)
    written = bytearray(prefix)
    bits = 0
    for index, component in enumerate(encoded.split(b"/")):
        # A `.` at the very beginning is a component of its own, later ones are skipped.
        if not component or (component == b"." and index):
            continue
        written += component
        bits = bits + len(component) & _U64
        bits = (bits >> 2) | (bits & 0b11) << 62  # a rotation to the right
    return bytes(written) + bits.to_bytes(_WORD, "little")


def _windows_prefix(path: str) -> tuple[bytes, str]:
    """What `std::path::Prefix` adds in front, and the path without it."""
    import ntpath

    drive, rest = ntpath.splitdrive(path)
    if len(drive) == 2 and drive[1] == ":":  # noqa: PLR2004  (a letter and a colon)
        return _DISK.to_bytes(_WORD, "little") + drive[0].upper().encode(), rest
    written = b""
    if drive:
        server, _, share = drive[2:].replace("\\", "/").partition("/")
        written = _UNC.to_bytes(_WORD, "little")
        for name in (server, share):
            encoded = name.encode("utf-8", "surrogatepass")
            written += len(encoded).to_bytes(_WORD, "little") + encoded
    return written, rest


def temporary_directory(environ: Mapping[str, str]) -> str:
    """The directory in which uv makes locks that belong to no environment: Rust's `std::env::temp_dir`.

    Not that of `tempfile`: on POSIX `TMP` and `TEMP` are ignored, and `TMPDIR` is taken verbatim, even if it is empty,
    relative, or no directory at all.

    Args:
        environ: The environment variables that uv will get.

    Returns:
        A path, relative to uv's working directory if `TMPDIR` is.
    """
    if sys.platform == "win32":
        # GetTempPath2W, which asks in this order.
        for name in ("TMP", "TEMP", "USERPROFILE"):
            if environ.get(name):
                return environ[name]
        return environ.get("SYSTEMROOT", "C:\\Windows")
    return environ.get("TMPDIR", "/tmp")  # noqa: S108  (the same for every process, as it must be)


def path_lock(path: str, environ: Mapping[str, str], cwd: str | None = None) -> str:
    """The lock that uv calls after a path.

    Args:
        path: An interpreter's `sys.executable`, a workspace's root, or a script; absolute.
        environ: The environment variables that uv will get.
        cwd: Where uv will run, which counts if `TMPDIR` is relative; by default this process's working directory.

    Returns:
        An absolute path.
    """
    return os.path.join(_absolute(temporary_directory(environ), cwd), f"uv-{digest(path)}.lock")


def spellings(interpreter: str, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """All names of an interpreter in its folder, links and hard links included, by each known name of the folder.

    uv was given one of them, and no one can know which: `python3` and `python3.11` in one folder have two locks, and so
    have `/bin/python3` and `/usr/bin/python3` where one folder is a link to the other. The whole folder is read, since
    any name may be given to uv. A name with `..` in it, or through a link that is not on PATH, cannot be foreseen.

    Args:
        interpreter: An absolute path.
        environ: Variables, whose PATH may name the folder differently.

    Returns:
        Absolute paths in their sorted order, which is the order in which all who hold several take them; that of the
        interpreter is among them, even if it does not exist.
    """
    folder = os.path.dirname(interpreter)
    found = {os.path.basename(interpreter)}
    folders = {folder}
    try:
        wanted = os.stat(interpreter)
        with os.scandir(folder) as entries:
            for entry in entries:
                # The listing has the number of a file, but not of what a link leads to: only links need a call each.
                if (entry.is_symlink() or entry.inode() == wanted.st_ino) and _same_file(entry.path, wanted):
                    found.add(entry.name)
        here = os.stat(folder)
        others = (os.path.realpath(folder), *_FOLDERS, *((environ or {}).get("PATH") or "").split(os.pathsep))
        folders.update(other for other in others if os.path.isabs(other) and _same_file(other, here))
    except OSError:
        # A folder that may be entered but not listed, or an interpreter that is gone: what was asked for is left.
        pass
    return tuple(sorted(os.path.join(folder, name) for folder in folders for name in found))


def _same_file(path: str, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), wanted)
    except OSError:
        return False  # a broken link, or one into a folder that may not be entered


def interpreter_locks(interpreter: str, environ: Mapping[str, str], cwd: str | None = None) -> tuple[str, ...]:
    """The locks of all spellings of an interpreter in its folder, each once.

    Args:
        interpreter: An absolute path.
        environ: The environment variables that uv will get.
        cwd: See `path_lock`.

    Returns:
        Absolute paths, in the order in which everyone takes them.
    """
    return tuple(sorted({path_lock(spelling, environ, cwd) for spelling in spellings(interpreter, environ)}))


def environment_lock(root: str) -> str:
    """The lock of a virtual environment, or of the directory of `--target` or `--prefix`."""
    return os.path.join(root, ".lock")


def tools_lock(environ: Mapping[str, str], cwd: str | None = None) -> str:
    """The lock that uv takes for all tools together (`uv tool install`, ...)."""
    return os.path.join(_directory("UV_TOOL_DIR", "tools", environ, cwd), ".lock")


def pythons_lock(environ: Mapping[str, str], cwd: str | None = None) -> str:
    """The lock that uv takes for all Pythons that it installs (`uv python install`, and downloads on the way)."""
    return os.path.join(_directory("UV_PYTHON_INSTALL_DIR", "python", environ, cwd), ".lock")


def cache_lock(environ: Mapping[str, str], cwd: str | None = None) -> str:
    """The lock of uv's cache: shared by every command since 0.8.18, exclusive for `uv cache clean` and `prune`."""
    named = environ.get("UV_CACHE_DIR")
    if named:
        return os.path.join(_absolute(named, cwd), ".lock")
    if sys.platform == "win32":
        return os.path.join(environ.get("LOCALAPPDATA", ""), "uv", "cache", ".lock")
    return os.path.join(host.folder(environ, "XDG_CACHE_HOME", ".cache"), "uv", ".lock")


def _directory(variable: str, name: str, environ: Mapping[str, str], cwd: str | None) -> str:
    named = environ.get(variable)
    if named:
        return _absolute(named, cwd)
    if sys.platform == "win32":
        return os.path.join(environ.get("APPDATA", ""), "uv", "data", name)
    return os.path.join(host.folder(environ, "XDG_DATA_HOME", os.path.join(".local", "share")), "uv", name)


def _absolute(path: str, cwd: str | None) -> str:
    return os.path.join(cwd if cwd is not None else os.getcwd(), path)
