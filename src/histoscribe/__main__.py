"""`python -m histoscribe`: the same as the command `histoscribe`."""

from histoscribe.cli import main

if __name__ == "__main__":
    main()
