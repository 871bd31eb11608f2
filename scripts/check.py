#!/usr/bin/env python3
"""All checks: `python3 scripts/check.py [--fast] [SUITE ...]`; the exit code is 0 when every one passed.

Makes its own environment (`.venv-dev`, from requirements-dev.lock) and starts its own services on free ports in a
temporary folder; what it starts it also stops.
"""

import sys

if sys.version_info[:2] != (3, 11):
    sys.exit("The checks need Python 3.11, this is %s. Run: python3.11 scripts/check.py" % sys.version.split()[0])  # noqa: UP031

from embedded.checking import main

if __name__ == "__main__":
    sys.exit(main())
