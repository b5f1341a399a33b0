"""The self-contained archive: one program with all it needs beside it, for a machine with no Python and no network."""
