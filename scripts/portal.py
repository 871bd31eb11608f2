#!/usr/bin/env python3
"""The embedded portal: `python3 scripts/portal.py {demo,up,status,logs,down,reset}`.

This file must parse under any Python 3, so that a wrong one gets a sentence and not a traceback.
"""

import sys

if sys.version_info[:2] != (3, 11):
    sys.exit(
        "The portal needs Python 3.11, this is %s (%s).\nInstall Python 3.11 and run: python3.11 scripts/portal.py %s"  # noqa: UP031
        % (sys.version.split()[0], sys.executable, " ".join(sys.argv[1:]))
    )

from embedded.commandline import main

if __name__ == "__main__":
    sys.exit(main())
