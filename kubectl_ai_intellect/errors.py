"""The exception tree: every error a user can meet, each with the exit code it ends in.

IntellectError          exit 1: something failed; the message is one line and names the mend
├── UsageError          exit 2: the command line makes no sense
├── ClusterError        the API server refused, could not be reached or is not configured
│   ├── Unreachable
│   └── Unauthorized
└── CaseError           a case file is not one
"""

from __future__ import annotations


class IntellectError(Exception):
    """An error whose message a user can act on."""

    exit_code = 1


class UsageError(IntellectError):
    """Words on the command line that make no sense together."""

    exit_code = 2


class ClusterError(IntellectError):
    """The cluster could not be asked."""


class Unreachable(ClusterError):
    """Nobody answers at the API server's address."""


class Unauthorized(ClusterError):
    """The API server does not know who we are."""


class CaseError(IntellectError):
    """A case file that cannot be read."""


__all__ = ["CaseError", "ClusterError", "IntellectError", "Unauthorized", "Unreachable", "UsageError"]
