# SPDX-License-Identifier: MIT
"""`python -m h5bragg.cli` is the command `h5bragg`."""

from .main import main

if __name__ == "__main__":
    main()
