"""Parse, call, exit code; no thinking."""
