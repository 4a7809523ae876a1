// Finds a text in many lines, a slice at a time, so that typing and scrolling go on meanwhile.

const SLICE_MS = 8;
const LINES_PER_LOOK = 500;

/** Let the browser draw and take input. */
export function pause() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = resolve;
    port2.postMessage(null);
  });
}

/** Do something for each number, and pause now and then. @returns {Promise<boolean>} whether it was not given up */
export async function inSlices(from, to, work, isWanted) {
  let until = performance.now() + SLICE_MS;
  for (let at = from; at < to; at += 1) {
    work(at);
    if (at % LINES_PER_LOOK === 0 && performance.now() > until) {
      await pause();
      if (!isWanted()) {
        return false;
      }
      until = performance.now() + SLICE_MS;
    }
  }
  return isWanted();
}

export class LogSearch {
  /** @type {RegExp | null} to be found in lines; all matches */
  pattern = null;
  /** @type {number[]} lines that match, ascending */
  matches = [];
  /** The match that is looked at; -1: none. */
  current = -1;
  #round = 0;

  /** @param {string} words; case makes no difference */
  setWords(words) {
    this.pattern = words ? new RegExp(words.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&"), "gi") : null;
    this.matches = [];
    this.current = -1;
    this.#round += 1;
  }

  /**
   * Look through lines again from one on; those before it have not changed.
   * @param {number} first
   * @param {ArrayLike<number>} lines to look through, ascending; without numbers in it: all of them
   * @param {string[]} texts
   * @returns {Promise<boolean>} whether the search came to its end
   */
  async run(first, lines, texts) {
    this.#round += 1;
    const round = this.#round;
    const looked = this.current >= 0 ? this.matches[this.current] : -1;
    this.matches = this.matches.slice(0, placeOf(this.matches, first));
    if (!this.pattern) {
      return true;
    }
    const look = new RegExp(this.pattern.source, "i");
    const isAll = !Array.isArray(lines);
    const isDone = await inSlices(
      isAll ? first : placeOf(lines, first),
      lines.length,
      (at) => {
        const line = isAll ? at : lines[at];
        if (look.test(texts[line])) {
          this.matches.push(line);
        }
      },
      () => round === this.#round,
    );
    if (isDone) {
      this.current = looked >= 0 ? this.matches.indexOf(looked) : -1;
    }
    return isDone;
  }

  /** Go on to the next match, or back; from a line if none was looked at. @returns {number} its line, -1 for none */
  step(direction, fromLine) {
    const { length } = this.matches;
    if (length === 0) {
      return -1;
    }
    if (this.current < 0) {
      const place = placeOf(this.matches, fromLine);
      this.current = direction > 0 ? place % length : (place - 1 + length) % length;
    } else {
      this.current = (this.current + direction + length) % length;
    }
    return this.matches[this.current];
  }
}

/** Where a line stands among ascending ones, or would. @param {ArrayLike<number>} lines @param {number} line */
export function placeOf(lines, line) {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle] < line) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
