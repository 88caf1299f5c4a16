"""From a path to what is locked, and facts of its file system."""
