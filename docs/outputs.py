"""Writes the schemas of what commands print as JSON into schemas/outputs: `python docs/outputs.py`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "schemas" / "outputs"
DRAFT = "http://json-schema.org/draft-07/schema#"
Schema = dict[str, Any]


def table(description: str = "", optional: str = "", **keys: Schema) -> Schema:
    """An object; what is not optional is always there. A later release may add keys, so readers let others be."""
    names = {name.rstrip("_"): schema for name, schema in keys.items()}
    required = [name for name in names if name not in optional.split()]
    said = {"description": description} if description else {}
    return {"type": "object", **said, "properties": names, "required": required}


def one(kind: str | list[str], description: str, **more: Any) -> Schema:
    """A value of a type, or of several."""
    return {"type": kind, "description": description, **more}


def text(description: str, *, null: bool = False) -> Schema:
    """A string; null where there is none, if allowed."""
    return one(["string", "null"] if null else "string", description)


def word(description: str, *words: str) -> Schema:
    """One of some strings."""
    return one("string", description, enum=list(words))


def number(description: str, *, null: bool = False) -> Schema:
    """A number, likewise."""
    return one(["number", "null"] if null else "number", description)


def whole(description: str, *, null: bool = False) -> Schema:
    """A whole number, likewise."""
    return one(["integer", "null"] if null else "integer", description)


def truth(description: str) -> Schema:
    """A boolean."""
    return one("boolean", description)


def several(items: Schema, description: str = "") -> Schema:
    """A list."""
    return {"type": "array", **({"description": description} if description else {}), "items": items}


def version(now: int) -> Schema:
    """Which shape this is; it changes when a key is removed or means something else."""
    return {"const": now, "description": "which shape this is"}


LOCATIONS = several(text("a location"), "the locations that the rule asks for")
RULE = table(
    "a rule and where it is written",
    name=text("its name"),
    file=text("the file", null=True),
    line=whole("the line of its [[rules]]", null=True),
    layer=text("the layer of the file; `built-in` where there is none"),
    lock=LOCATIONS,
    reason=text("its reason"),
)
PLAN = several(
    table(
        optional="path key number origin server",
        purpose=text("gate, cluster, global, strict, beside, uv or local"),
        kind=text("file, or what else holds it"),
        path=text("of a file"),
        key=text("of a lock on a server"),
        number=whole("the key as the server counts it"),
        origin=text("where the key comes from"),
        server=text("which server, without secrets"),
    ),
    "the locks in the order in which they are taken",
)
EXCLUDES = several(
    table(
        optional="remedy",
        who=text("lock-policy, uv, pipx"),
        where=text("this host, this environment, other hosts, ..."),
        excluded=truth("whether it is kept out"),
        because=text("the lock that does, or why none does"),
        remedy=text("what would keep it out"),
    ),
    "who is kept out while the plan is held, and who is not",
)
STEPS = several(
    table(
        rule=RULE,
        outcome=word("what became of it", "no", "matched", "not-reached"),
        checks=several(
            table(
                optional="checks detail",
                key=text("the condition"),
                expected={"description": "what the rule wants"},
                seen={"description": "what was observed"},
                passed=one(["boolean", "null"], "whether it holds; null where it was not asked"),
                caller=truth("whether it asks about the caller"),
                detail=text("what stands behind what was seen"),
                checks=one("array", "of any, all and not: the conditions inside"),
            )
        ),
    ),
    "the rules in their order, each with its conditions answered",
)
HOLDER = table(
    "a process",
    pid=whole("its number; 0 where no process but something else keeps the lock"),
    user=text("its effective user"),
    command=text("its command line"),
    since=number("seconds since the epoch", null=True),
    host=text("its host, empty for this one"),
    shared=truth("whether it reads"),
)
COVERED = table(covered=whole("how many"), total=whole("of how many"), percent=number("the share"))
SIDE = table(
    "what a request gets",
    rule=RULE,
    plan=PLAN,
    excluded=several(text("who, and where"), "who is kept out"),
    timeout=number("seconds to wait", null=True),
    required=truth("whether nothing runs without the lock"),
    shared=truth("whether it reads"),
    unused=truth("whether it waits until nothing runs from the environment"),
)
LOGGED = {**RULE, "required": [name for name in RULE["required"] if name != "reason"]}
ORIGIN = {
    "file": text("the file", null=True),
    "line": whole("the line", null=True),
    "layer": text("the layer; `caller` for the command line and variables"),
    "given_by": text("the option or the variable, of the layer `caller`"),
}

OUTPUTS: dict[str, tuple[str, Schema]] = {
    "explain": (
        "policy explain",
        table(
            "the decision for an environment, or for a command",
            optional="corrected command excludes rule timeout steps",
            version=version(2),
            lock=LOCATIONS,
            plan=PLAN,
            excludes=EXCLUDES,
            rule=RULE,
            timeout=number("seconds to wait; null: forever", null=True),
            environment={
                "anyOf": [
                    {"type": "null"},
                    table(
                        "what is locked; null where the command changes none",
                        interpreter=text("as it is spelled"),
                        root=text("sys.prefix, or the target or prefix directory"),
                        exists=truth("whether it exists yet"),
                        kind=word("its kind", "virtualenv", "system", "target", "prefix"),
                        base_interpreter=text("what it was made of"),
                        found_by=text("how it was found"),
                    ),
                ]
            },
            steps=STEPS,
            hints=several(text("a sentence and its place in the reference")),
            warnings=several(text("what was noticed in the configuration")),
            corrected=text("the fact that was corrected, and why"),
            command=table(
                "what is done for the command; only where one was given",
                apart=text("why nothing is held for it, or empty"),
                uncertain=text("why its environment is uncertain, or empty"),
                shared=truth("whether it reads"),
                left_to_uv=several(text("a path"), "locks that uv takes itself"),
                left_to_pipx=several(text("a path"), "locks that pipx takes itself"),
                environ=one("object", "variables that the command gets", additionalProperties={"type": "string"}),
                notes=several(text("what is said before it starts")),
            ),
        ),
    ),
    "locks": (
        "policy locks",
        table(
            "locks, who holds them, and who waits",
            version=version(1),
            complete=truth("whether every lock of the host would be seen from here"),
            locks=several(
                table(
                    optional="path key",
                    kind=text("file, or what else holds it"),
                    path=text("of a file"),
                    key=text("of a lock on a server"),
                    state=word("its state", "locked", "free", "unknown", "removed"),
                    environment=text("the root of what it locks, if known", null=True),
                    holders=several(HOLDER),
                    waiters=several(HOLDER, "the next one first"),
                )
            ),
        ),
    ),
    "users": (
        "policy users",
        table(
            "processes that run from an environment",
            version=version(1),
            environment=text("its root"),
            users=several({**HOLDER, **table(**HOLDER["properties"], uses=text("the file of it that shows it"))}),
        ),
    ),
    "doctor": (
        "policy doctor",
        table(
            "whether locking works here",
            version=version(1),
            environment=text("the root that was looked at", null=True),
            checks=several(
                table(
                    name=text("the check"),
                    findings=several(
                        table(
                            code=text("the kind of finding"),
                            message=text("one sentence"),
                            remedy=text("a command that mends it or shows more"),
                            anchor=text("its place in the documentation"),
                        )
                    ),
                )
            ),
        ),
    ),
    "check": (
        "policy check",
        table(
            "faults and warnings of configuration files",
            version=version(1),
            files=several(table(file=text("the file"), layer=text("its layer"))),
            rules=whole("how many rules were judged"),
            findings=several(
                table(
                    severity=word("how bad", "error", "warning"),
                    code=text("the kind, as `policy rule` explains it"),
                    anchor=text("its place in the documentation"),
                    file=text("the file"),
                    line=whole("from 1", null=True),
                    column=whole("from 1", null=True),
                    end_column=whole("the one behind it", null=True),
                    key=several(one(["string", "integer"], "a part"), "where in the file, as keys and numbers"),
                    message=text("one sentence"),
                    examples=several(text("a command that shows it")),
                )
            ),
            errors=whole("how many"),
            warnings=whole("how many"),
            complete=truth("whether all rules were compared"),
        ),
    ),
    "diff": (
        "policy diff",
        table(
            "which requests get something else under other rules",
            version=version(1),
            differs=truth("whether anything does, or may"),
            complete=truth("whether everything was compared and proven"),
            regions=several(table(example=text("a request, as options of policy explain"), old=SIDE, new=SIDE)),
            not_proven=several(table(old=RULE, new=RULE)),
            rules=several(table(what=text("new, gone, changed or moved"), rule=RULE)),
        ),
    ),
    "replay": (
        "policy replay",
        table(
            "which decisions of a log would be others",
            version=version(1),
            differs=truth("whether any would, or may"),
            decisions=whole("how many were found"),
            same=whole("how many would be the same"),
            changed=whole("how many would not"),
            changes=several(
                table(
                    lines=several(whole("a line of the log, from 1")),
                    example=text("a command that shows what is decided now"),
                    old={**SIDE, "properties": {**SIDE["properties"], "rule": LOGGED}},
                    new=SIDE,
                ),
                "those that would change in the same way, together",
            ),
            not_known=several(
                table(because=text("what the log does not say"), lines=several(whole("a line of the log, from 1")))
            ),
            unreadable=several(table(line=whole("a line of the log, from 1"), because=text("what is wrong with it"))),
        ),
    ),
    "show": (
        "policy show",
        table(
            "the effective configuration",
            version=version(1),
            settings=one(
                "object",
                "settings by name",
                additionalProperties=table(
                    optional="given_by others",
                    value={"description": "the value that counts"},
                    **ORIGIN,
                    others=one("array", "values of weaker layers, and where they count"),
                ),
            ),
            rules=several(
                table(
                    optional="given_by",
                    name=text("its name"),
                    lock=LOCATIONS,
                    timeout=number("seconds to wait", null=True),
                    required=truth("whether nothing runs without the lock"),
                    shared=truth("whether it reads"),
                    unused=truth("whether it waits until nothing runs from the environment"),
                    cluster_key=one(["object", "null"], "name and root of the key on a server"),
                    reason=text("its reason"),
                    match=one("object", "its conditions, as TOML has them"),
                    mandatory=truth("whether it stands before all others"),
                    **ORIGIN,
                )
            ),
        ),
    ),
    "test": (
        "policy test",
        table(
            "the [[tests]] of files",
            version=version(1),
            coverage=table(rules=COVERED, conditions=COVERED),
            files=several(
                table(
                    file=text("the file"),
                    tests=several(
                        table(
                            optional="steps",
                            name=text("its name"),
                            line=whole("its line"),
                            passed=truth("whether it passed"),
                            expected=table(lock=LOCATIONS, rule=text("the rule's name", null=True)),
                            decided=table(lock=LOCATIONS, rule=RULE),
                            steps=STEPS,
                        )
                    ),
                    unreached=several(RULE, "rules that no test reaches"),
                    unanswered=several(
                        table(
                            rule=RULE,
                            key=several(one(["string", "integer"], "a part"), "which condition"),
                            missing=several(truth("an answer"), "answers that no test gave"),
                        )
                    ),
                )
            ),
            passed=whole("how many"),
            failed=whole("how many"),
        ),
    ),
    "cluster": (
        "policy cluster status",
        table(
            "whether a server can keep locks",
            version=version(1),
            server=text("its address, without secrets"),
            findings=several(
                table(
                    code=text("what was looked at"),
                    level=word("how it is", "ok", "warning", "error"),
                    text=text("what was found"),
                    remedy=text("what to do, or empty"),
                    anchor=text("its place in the documentation"),
                )
            ),
        ),
    ),
    "rule": (
        "policy rule",
        several(
            table(
                name=text("the code"),
                severity=word("how bad; a command that finds other things says it itself", "error", "warning", ""),
                summary=text("what it means"),
                remedy=text("what to do"),
                example=text("a file that has it, or empty"),
                better=text("the same without it, or empty"),
                layer=text("the layer of the example"),
                origin=text("what names the code: check, doctor, cluster status or explain"),
            ),
            "codes of policy check, and with a code what it means wherever it is named",
        ),
    ),
}


def written(name: str) -> str:
    """A schema as its file holds it."""
    command, schema = OUTPUTS[name]
    whole_schema = {"$schema": DRAFT, "title": f"{command} --output-format json", **schema}
    return json.dumps(whole_schema, indent=2) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for output in OUTPUTS:
        (FOLDER / f"{output}.schema.json").write_text(written(output), encoding="utf-8")
    sys.stdout.write(f"{FOLDER} written\n")
