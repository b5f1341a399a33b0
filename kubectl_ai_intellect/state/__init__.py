"""Objects, relations, history: what was read, with no opinion about it."""
