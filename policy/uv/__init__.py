"""uv as it is: the names of its lock files, what a uv command line will lock, and how `policy run` treats it."""
