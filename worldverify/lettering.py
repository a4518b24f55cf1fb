"""Words on pictures: letters of five by seven dots."""

import numpy as np
from numpy.typing import NDArray

from worldverify.png import Image

WIDTH, HEIGHT = 5, 7  # dots of a letter; one dot of room follows it

# Seven rows from the top, two hexadecimal digits each, whose last five bits are the dots from left to right.
_ROWS = {
    "A": "0e11111f111111", "B": "1e11111e11111e", "C": "0e11101010110e", "D": "1e11111111111e",
    "E": "1f10101e10101f", "F": "1f10101e101010", "G": "0e11101711110e", "H": "1111111f111111",
    "I": "0e04040404040e", "J": "0702020202120c", "K": "11121418141211", "L": "1010101010101f",
    "M": "111b1515111111", "N": "11191915131311", "O": "0e11111111110e", "P": "1e11111e101010",
    "Q": "0e11111115120d", "R": "1e11111e141211", "S": "0f10100e01011e", "T": "1f040404040404",
    "U": "1111111111110e", "V": "11111111110a04", "W": "1111111515150a",
    "X": "11110a040a1111", "Y": "11110a04040404", "Z": "1f01020408101f",
    "a": "00000e010f110f", "b": "10101e1111111e", "c": "00000e1010100e", "d": "01010f1111110f",
    "e": "00000e111f100e", "f": "06081c08080808", "g": "00000f110f010e", "h": "10101e11111111",
    "i": "04000c0404040e", "j": "0200060202120c", "k": "10101214181412", "l": "0c04040404040e",
    "m": "00001a15151515", "n": "00001e11111111", "o": "00000e1111110e", "p": "00001e111e1010",
    "q": "00000f110f0101", "r": "00001618101010", "s": "00000f100e011e", "t": "08081c08080806",
    "u": "0000111111110f", "v": "00001111110a04", "w": "0000111115150a", "x": "0000110a040a11",
    "y": "000011110f010e", "z": "00001f0204081f",
    "0": "0e11131519110e", "1": "040c040404040e", "2": "0e11010608101f", "3": "1f02040201110e",
    "4": "02060a121f0202", "5": "1f101e0101110e", "6": "0608101e11110e", "7": "1f010204080808",
    "8": "0e11110e11110e", "9": "0e11110f01020c",
    "-": "0000000e000000", "_": "0000000000001f", ".": "00000000000c0c", " ": "00000000000000",
}  # fmt: skip
_UNKNOWN = "1f11111111111f"


def word(text: str, *, scale: int = 2) -> NDArray[np.bool_]:
    """(HEIGHT scale, (WIDTH + 1) scale len(text)) where the letters of a text have ink, each dot `scale` pixels wide.

    A letter that is not in the table is a box.
    """
    rows = np.array([list(bytes.fromhex(_ROWS.get(letter, _UNKNOWN))) for letter in text], np.uint8)  # (n, 7)
    dots = rows.reshape(-1, HEIGHT, 1) >> np.arange(WIDTH - 1, -1, -1) & 1  # (n, 7, 5)
    spaced = np.pad(dots, ((0, 0), (0, 0), (0, 1)))
    line = spaced.transpose(1, 0, 2).reshape(HEIGHT, -1).astype(bool)
    return np.repeat(np.repeat(line, scale, axis=0), scale, axis=1)


def write(image: Image, text: str, *, top: int, centre: int, scale: int = 2, ink: int = 40) -> None:
    """Put a text onto an image in place, in a grey of 0 to 255; what does not fit is cut off."""
    ink_at = word(text, scale=scale)
    left = max(0, centre - ink_at.shape[1] // 2)
    cell = image[top : top + ink_at.shape[0], left : left + ink_at.shape[1]]
    cell[ink_at[: cell.shape[0], : cell.shape[1]]] = ink
