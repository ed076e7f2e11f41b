"""`python -m fnframe.cli` is the same as `fnframe`."""

from . import main

if __name__ == "__main__":
    main()
