"""Model files for tests: a real small one, and random weights of any shape."""
