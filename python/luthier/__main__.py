"""`python -m luthier`: the command line."""

from luthier.cli.main import main

if __name__ == "__main__":
    main()
