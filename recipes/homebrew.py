"""Prints a Homebrew formula: `python recipes/homebrew.py dist/lock_policy-VERSION.tar.gz ADDRESS`.

ADDRESS is where the archive is published; without it the formula names the file itself.

The formula goes into a tap: it lets pip fetch the dependencies, which Homebrew's own repository does not allow.
"""

from __future__ import annotations

import hashlib
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FORMULA = """\
class LockPolicy < Formula
  include Language::Python::Virtualenv

  desc "{description}"
  url "{address}"
  sha256 "{digest}"
  license "{license}"

  depends_on "python@3.13"

  def install
    virtualenv_create(libexec, "python3.13")
    system libexec/"bin/python", "-m", "pip", "install", "--verbose", buildpath
    bin.install_symlink libexec/"bin/policy", libexec/"bin/lock-policy"
    man1.install_symlink Dir[libexec/"share/man/man1/*"]
    bash_completion.install_symlink Dir[libexec/"share/bash-completion/completions/*"]
    zsh_completion.install_symlink Dir[libexec/"share/zsh/site-functions/*"]
    fish_completion.install_symlink Dir[libexec/"share/fish/vendor_completions.d/*"]
  end

  test do
    (testpath/"lock-policy.toml").write "[[rules]]\\nlock = \\"local\\"\\n"
    assert_match "All good", shell_output("#{{bin}}/policy check lock-policy.toml")
  end
end
"""


def formula(archive: Path, address: str) -> str:
    """The formula that installs an archive.

    Args:
        archive: A source distribution.
        address: Where it is published.
    """
    # Homebrew wants no full stop, and at most 80 characters
    description = "Rules in TOML decide which locks a Python environment gets"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return FORMULA.format(description=description, address=address, digest=digest, license=PROJECT["license"])


if __name__ == "__main__":
    archive = Path(sys.argv[1])
    sys.stdout.write(formula(archive, sys.argv[2] if len(sys.argv) > 2 else archive.resolve().as_uri()))  # noqa: PLR2004  (the archive, then the address)
