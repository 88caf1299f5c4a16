"""What can be held, and how; it knows no rules."""
