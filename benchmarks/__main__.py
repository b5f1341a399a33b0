"""`make bench`: accuracy over the recordings, then speed and size; each can be run alone (`python -m benchmarks.speed`)."""

from __future__ import annotations

import sys

from benchmarks import accuracy, speed


def main() -> None:
    print("== accuracy: recordings of all scenarios, rules alone")
    accuracy.main()
    print("\n== speed and size")
    speed.main(sys.argv[1:])


if __name__ == "__main__":
    main()
