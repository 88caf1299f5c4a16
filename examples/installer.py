"""A small installer: unpacks wheels into an environment while nobody else changes it.

Usage: python installer.py ENVIRONMENT WHEEL...
"""

import subprocess
import sys

import policy


def main(environment: str, wheels: list[str]) -> int:
    """Installs wheels with pip while the environment is locked."""
    try:
        with policy.lock(environment, operation="pip install", timeout=60) as held:
            if not held.decision.environment.exists:  # what does not exist yet can be locked, too
                raise policy.EnvironmentNotFound(f"{environment}: no such environment")
            print(f"holding {', '.join(lock.name for lock in held.locks)}", file=sys.stderr)
            python = held.decision.environment.interpreter
            command = [python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", *wheels]
            return subprocess.run(command, check=False).returncode
    except policy.PolicyError as error:
        print(f"installer: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
