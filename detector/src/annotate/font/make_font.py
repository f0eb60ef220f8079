"""Cuts DejaVu Sans down to the characters that labels are written in.

    python make_font.py                  # needs fonttools, and Debian's fonts-dejavu-core

Latin, Latin-1 Supplement, Latin Extended-A, Greek, Cyrillic and general punctuation remain.
"""

import pathlib

from fontTools import subset

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
RANGES = "U+0020-007E,U+00A0-00FF,U+0100-017F,U+0370-03FF,U+0400-045F,U+2010-2027,U+2030-203A,U+20AC,U+FFFD"
TARGET = pathlib.Path(__file__).parent / "DejaVuSans.ttf"


def main() -> None:
    subset.main(
        [
            FONT,
            f"--unicodes={RANGES}",
            "--layout-features=kern",
            "--no-hinting",
            "--notdef-outline",
            "--name-IDs=0,1,2,5,13,14",
            f"--output-file={TARGET}",
        ]
    )
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
