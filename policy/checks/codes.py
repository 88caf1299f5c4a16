"""What `policy check` finds, each kind under its code: what it means, an example, and what to do."""

from __future__ import annotations

from attrs import frozen

ERROR, WARNING = "error", "warning"


@frozen
class Code:
    """A kind of finding.

    Args:
        name: As messages and machine formats call it.
        severity: `error`: the file cannot be used; `warning`: it can, but something in it looks wrong.
        summary: One sentence.
        remedy: What to do, as a sentence.
        example: A file that has it; "" where the file alone does not decide.
        better: The same file without it.
        layer: The layer that the example is a file of.
        origin: The command that names it.
    """

    name: str
    severity: str
    summary: str
    remedy: str
    example: str = ""
    better: str = ""
    layer: str = "project"
    origin: str = "check"


_CODES = (
    Code(
        "syntax",
        ERROR,
        "The file is not valid TOML, or larger or deeper than a configuration file may be.",
        "Correct the line; a TOML file is UTF-8 text.",
        "timeout = \n",
        "timeout = 60\n",
    ),
    Code(
        "unreadable",
        ERROR,
        "The file does not exist, is not a regular file, is too large or may not be read.",
        "Correct its name or its mode; LOCK_POLICY_MAX_SIZE allows larger files.",
    ),
    Code(
        "unknown-key",
        ERROR,
        "The table has no key of this name.",
        "Correct its spelling. If a newer release has the key, install that release: see required-version.",
        "time-out = 60\n",
        "timeout = 60\n",
    ),
    Code(
        "missing-key",
        ERROR,
        "A key that its table needs is missing.",
        "Add it.",
        '[[rules]]\nname = "store"\n',
        '[[rules]]\nname = "store"\nlock = "global"\n',
    ),
    Code(
        "wrong-type",
        ERROR,
        "A value does not have the type that its key takes.",
        "Write the type that the message names.",
        'timeout = "60"\n',
        "timeout = 60\n",
    ),
    Code(
        "wrong-value",
        ERROR,
        "A value has the right type, but its key does not allow it.",
        "Write one that the message names.",
        '[[rules]]\nlock = "globe"\n',
        '[[rules]]\nlock = "global"\n',
    ),
    Code(
        "wrong-pattern",
        ERROR,
        "A pattern can match nothing: it is not absolute, or a bracket is not closed.",
        "Begin a path pattern with /, ~ or **, and close every [.",
        '[[rules]]\nlock = "global"\nmatch.environment = "builds/**"\n',
        '[[rules]]\nlock = "global"\nmatch.environment = "**/builds/**"\n',
    ),
    Code(
        "empty",
        ERROR,
        "An array or a table is empty, so it has no effect.",
        "Fill it, or remove it: a rule without match matches everything.",
        '[[rules]]\nlock = "global"\nmatch = {}\n',
        '[[rules]]\nlock = "global"\n',
    ),
    Code(
        "too-deep",
        ERROR,
        "any, all and not are nested too deeply.",
        "Write two rules instead.",
    ),
    Code(
        "too-many",
        ERROR,
        "The file has so many faults that the rest of it was not checked.",
        "Correct the ones shown, then check again.",
    ),
    Code(
        "required-version",
        ERROR,
        "The file requires a different release of lock-policy.",
        "Install a release that it allows.",
        'required-version = ">=99"\n',
        'required-version = ">=0.1"\n',
    ),
    Code(
        "no-right",
        ERROR,
        "The file holds something that only files of another layer may hold.",
        "Move it there: a project's file comes with a checkout, so it may do no harm.",
        '[[rules]]\nlock = "global"\nmandatory = true\n',
        '[[rules]]\nlock = "global"\n',
    ),
    Code(
        "wrong-directory",
        ERROR,
        "A file of this layer may not name that directory.",
        "Name one inside the project in a project's file, an absolute one elsewhere.",
        'global-dir = "/var/lock"\n',
        'global-dir = "."\n',
    ),
    Code(
        "secret",
        ERROR,
        "A password, or the name of a file with one, stands in the configuration.",
        "Remove it, and change the password if others could read the file. libpq reads PGPASSFILE, PGPASSWORD or a "
        "certificate.",
        '[cluster]\nengine = "postgresql"\nservice = "locks"\npassword = "x"\n',
        '[cluster]\nengine = "postgresql"\nservice = "locks"\n',
        layer="user",
    ),
    Code(
        "ignored-file",
        WARNING,
        "A file that would apply here is not used.",
        "Do what the message says: remove one of two files in a folder, or the write permission of others.",
    ),
    Code(
        "missing-directory",
        WARNING,
        "The directory for locks does not exist, so every lock in it fails.",
        "Create it, with mode 1777 where several users share it.",
        'global-dir = "no-such-folder"\n',
        'global-dir = "."\n',
    ),
    Code(
        "missing-server",
        WARNING,
        "A rule locks on a server, and no file says which one.",
        "Write [cluster] into the user's or the system file, or set LOCK_POLICY_CLUSTER_SERVICE.",
    ),
    Code(
        "unnamed-key",
        WARNING,
        "A lock on a server is named after what the mount table calls the file server, and a server may have aliases.",
        "Give the rule a cluster-key, whose name all hosts share.",
        '[[rules]]\nlock = "cluster"\n',
        '[[rules]]\nlock = "cluster"\ncluster-key = { name = "team-envs", root = "/mnt/envs" }\n',
    ),
    Code(
        "no-readers",
        WARNING,
        "A rule is shared and takes a strict lock, which has no readers.",
        "Remove `shared`, or take a lock on a server instead of the strict one.",
        '[[rules]]\nlock = "strict"\nshared = true\n',
        '[[rules]]\nlock = "strict"\n',
    ),
    Code(
        "impossible",
        WARNING,
        "The conditions of a rule can never hold together.",
        "Correct them, or delete the rule.",
        '[[rules]]\nlock = "global"\nmatch = { writable = true, not.writable = true }\n',
        '[[rules]]\nlock = "global"\nmatch.writable = true\n',
    ),
    Code(
        "unreachable",
        WARNING,
        "A rule stands after one that matches everything.",
        "Move it before that, or delete it.",
        '[[rules]]\nlock = "both"\n\n[[rules]]\nlock = "global"\nmatch.writable = false\n',
        '[[rules]]\nlock = "global"\nmatch.writable = false\n\n[[rules]]\nlock = "both"\n',
    ),
    Code(
        "subsumed",
        WARNING,
        "A rule stands after one that matches whenever it does.",
        "Move it before that, or delete it.",
        '[[rules]]\nlock = "both"\nmatch.environment = "/opt/**"\n\n'
        '[[rules]]\nlock = "global"\nmatch.environment = "/opt/app"\n',
        '[[rules]]\nlock = "global"\nmatch.environment = "/opt/app"\n\n'
        '[[rules]]\nlock = "both"\nmatch.environment = "/opt/**"\n',
    ),
    Code(
        "covered",
        WARNING,
        "A rule stands after several others, and one of them always matches first.",
        "Move it before them, or delete it.",
        '[[rules]]\nlock = "local"\nmatch.writable = true\n\n[[rules]]\nlock = "global"\nmatch.writable = false\n\n'
        '[[rules]]\nlock = "both"\nmatch.kind = "target"\n',
        '[[rules]]\nlock = "both"\nmatch.kind = "target"\n\n[[rules]]\nlock = "local"\nmatch.writable = true\n\n'
        '[[rules]]\nlock = "global"\nmatch.writable = false\n',
    ),
    Code(
        "contradiction",
        WARNING,
        "Rules of two files match the same requests and take different locks.",
        "Delete one of the two: the stronger file decides.",
    ),
    Code(
        "kept-out-by-caller",
        WARNING,
        "A rule for some callers keeps out fewer others than the rule for all other callers of the environment.",
        "Give both rules locks that keep out the same, or use a condition that is the same for every caller.",
        '[[rules]]\nlock = "global"\nmatch.env.CI = true\n',
        '[[rules]]\nlock = "both"\nmatch.env.CI = true\n',
    ),
    Code(
        "not-proven",
        WARNING,
        "What a rule does could not be proven with a bounded effort.",
        "Split the rule, or write its patterns more plainly.",
    ),
    Code(
        "duplicate-name",
        WARNING,
        "Two rules, or two tests, have the same name.",
        "Rename one, so that explanations can tell them apart.",
        '[[rules]]\nname = "a"\nlock = "global"\nmatch.writable = false\n\n'
        '[[rules]]\nname = "a"\nlock = "both"\nmatch.kind = "target"\n',
        '[[rules]]\nname = "a"\nlock = "global"\nmatch.writable = false\n\n'
        '[[rules]]\nname = "b"\nlock = "both"\nmatch.kind = "target"\n',
    ),
    Code(
        "unknown-rule",
        WARNING,
        "A test expects a rule that does not exist.",
        "Correct the name; only rules of the test's own file and the built-in ones can decide.",
        '[[tests]]\nname = "t"\nexpect = { lock = "local", rule = "enviroment" }\n',
        '[[tests]]\nname = "t"\nexpect = { lock = "local", rule = "environment" }\n',
    ),
)

CODES = {code.name: code for code in _CODES}
