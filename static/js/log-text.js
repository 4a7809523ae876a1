// Terminal text -> lines as a terminal shows them in the end. The same rules as jobs/presentation/log_text.py.

const ESCAPE = /\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]?|\][^\x07\x1b]{0,512}(?:\x07|\x1b\\)|[ -/]?[0-~])/g;
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** A redrawn line once, without colours and control characters. @param {string} line */
function lastDrawing(line) {
  const drawn = line.split("\r").filter(Boolean).at(-1) ?? "";
  return drawn.replace(ESCAPE, "").replace(CONTROL, "");
}

/** Reads a log that grows, and reads again only what has come since. */
export class GrowingLog {
  /** @type {string[]} */
  lines = [];
  #raw = "";
  #settledCharacters = 0;
  #settledLines = 0;

  /**
   * Take over the whole log so far.
   * @param {string} raw
   * @returns {number} index of the first line that may differ from before
   */
  replace(raw) {
    if (!raw.startsWith(this.#raw)) {
      this.#settledCharacters = 0;
      this.#settledLines = 0;
    }
    this.#raw = raw;
    const firstChanged = this.#settledLines;
    this.lines.length = firstChanged;
    const fresh = raw.slice(this.#settledCharacters).split("\n");
    for (const line of fresh) {
      this.lines.push(lastDrawing(line));
    }
    this.#settledCharacters = raw.lastIndexOf("\n") + 1;
    this.#settledLines = this.lines.length - 1;
    if (this.lines.at(-1) === "") {
      this.lines.pop();
    }
    return firstChanged;
  }
}
