"""What the clip of the sync report says, and how it is read back.

Every picture carries its number in a row of 32 cells along the top: white, black, 24 bits with the
highest first, 6 check bits (as in tests/src/barcode.rs). Every second begins with a white picture
and a beep; ten beeps in a row differ in pitch, so a beep tells its second from its neighbours'.
"""

import array
import math

WIDTH, HEIGHT, FPS = 320, 180, 25
CODE_ROWS = 20  # The cells.
SEEN_ROWS = 40  # What is looked at: the cells, and as much of the picture below.
RATE = 44100
BEEP_MS = 100
PITCHES = [600 + 200 * number for number in range(10)]
LOUD = 5000  # Of 32767; the beep has 26000.
CELLS, CELL = 32, WIDTH // 32


def code(number):
    """The bits of a picture's number."""
    check = (number ^ number >> 6 ^ number >> 12 ^ number >> 18 ^ 0b101010) & 0b111111
    return 0b10 << 30 | number << 6 | check


def draw(number):
    """The picture with this number, one byte of brightness a pixel."""
    bits = code(number)
    row = b"".join(bytes([255 * (bits >> 31 - cell & 1)]) * CELL for cell in range(CELLS))
    if number % FPS == 0:
        return row * CODE_ROWS + b"\xff" * (WIDTH * (HEIGHT - CODE_ROWS))
    # Stripes that move: the encoder has something to do. Dark, so that no picture is taken for a flash.
    stripes = bytes(20 + (x + 2 * number) % 64 for x in range(WIDTH))
    return row * CODE_ROWS + stripes * (HEIGHT - CODE_ROWS)


def read(strip):
    """The number in the top SEEN_ROWS of a picture; None when the cells are no code."""
    bits = 0
    middle = WIDTH * (CODE_ROWS // 2)
    for cell in range(CELLS):
        level = strip[middle + cell * CELL + CELL // 2]
        if 96 <= level <= 160:
            return None
        bits = bits << 1 | (level > 160)
    number = bits >> 6 & 0xFFFFFF
    return number if code(number) == bits else None


def is_flash(strip):
    """Whether the picture below the cells is white."""
    below = strip[WIDTH * (CODE_ROWS + 6) : WIDTH * (CODE_ROWS + 7)]
    return sum(below) > 200 * WIDTH


def sound(seconds):
    """Silence, with a beep at the start of every second: samples of 16 bits."""
    samples = array.array("h")
    for second in range(seconds):
        step = 2 * math.pi * PITCHES[second % len(PITCHES)] / RATE
        loud = RATE * BEEP_MS // 1000
        samples.extend(round(26000 * math.sin(step * (n + 0.5))) for n in range(loud))
        samples.extend([0] * (RATE - loud))
    return samples


def pitch_of(samples):
    """Which of the pitches these samples have: an index into PITCHES. None when it is none."""
    ups = [n for n in range(1, len(samples)) if samples[n - 1] < 0 <= samples[n]]
    if len(ups) < 2:
        return None
    pitch = RATE * (len(ups) - 1) / (ups[-1] - ups[0])
    index = min(range(len(PITCHES)), key=lambda n: abs(PITCHES[n] - pitch))
    return index if abs(PITCHES[index] - pitch) < 60 else None
