"""How long the progress parser takes for a megabyte of anything: ``python -m benchmarks.parse_log``.

Prints the best of seven runs for each text, and the time for 8 MB as a ratio to that for 1 MB: only the tail is read.
"""

import timeit

from jobs.progress import parse_log

MEGABYTE = 1_000_000
RUNS = 7
BAR = "\rSteps:  12%|█▏        | 121/1000 [02:40<19:22,  1.32s/it, step_loss=0.044, lr=0.0001]"

TEXTS = {
    "tqdm bars, redrawn": BAR,
    "plain step lines": "Step 1500/5000 - loss: 0.0234\n",
    "one endless line": "a",
    "carriage returns": "\r",
    "escape sequences": "\x1b[32mstep 1\x1b[0m",
    "opening brackets": "[",
    "digits": "7",
    "the word step": "step ",
    "percent signs": "1%" * 999 + "\n",
}


def filled(text: str, size: int) -> str:
    return (text * (size // len(text) + 1))[:size]


def best_milliseconds(text: str, *, runs: int = RUNS) -> float:
    return 1000 * min(timeit.repeat(lambda: parse_log(text), number=1, repeat=runs))


def main() -> None:
    """Print one line for each text."""
    print(f"{'text':22s} {'1 MB, ms':>9s} {'8 MB / 1 MB':>12s}")
    for name, text in TEXTS.items():
        one = best_milliseconds(filled(text, MEGABYTE))
        eight = best_milliseconds(filled(text, 8 * MEGABYTE))
        print(f"{name:22s} {one:9.1f} {eight / one:12.2f}")


if __name__ == "__main__":
    main()
