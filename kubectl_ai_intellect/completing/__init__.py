"""What the Tab key offers after `kubectl intellect`, through kubectl's own completion of plugins.

kubectl runs `kubectl_complete-intellect` with the words so far; it prints one choice a line and, last, `:N` for
the shell. What only a cluster knows is asked of the user's kubectl, which has its own ways to log in and its own
cache, and is remembered; a cluster that is slow never holds the Tab key up.
"""
