"""A TOML reader that knows where everything stands; it knows nothing of locks."""
