"""``python -m looprig`` is the same as ``looprig``."""

from looprig.cli import main

if __name__ == "__main__":
    main()
