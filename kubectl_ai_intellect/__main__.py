"""`python -m kubectl_ai_intellect`, the same as `kubectl intellect`."""

from kubectl_ai_intellect.cli.entry import main

if __name__ == "__main__":
    main()
