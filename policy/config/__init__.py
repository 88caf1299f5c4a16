"""From files to a chain of rules."""
