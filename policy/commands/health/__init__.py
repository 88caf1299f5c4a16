"""What `policy doctor` looks at; a new check is a function in a module here and a line in `checks.CHECKS`."""
