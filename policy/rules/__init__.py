"""From a request to a decision and its plan."""
