// Terminal text -> lines as a terminal shows them in the end. The same rules as jobs/presentation/log_text.py.
import { PLAIN, readAnsi, withoutAnsi } from "./ansi.js";

const SPECIAL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/;

/** Reads a log that grows, and reads again only what has come since. */
export class LogLines {
  /** @type {string[]} without colours and control characters */
  texts = [];
  /** The longest line so far, in characters. */
  longest = 0;
  /** @type {Map<number, {raw: string, open: typeof PLAIN}>} lines that are drawn in colour */
  #coloured = new Map();
  /** What has come of the line that is not ended yet. */
  #rest = "";
  /** How the line before that one left the terminal. */
  #open = PLAIN;

  /** Forget everything. */
  clear() {
    this.texts = [];
    this.longest = 0;
    this.#coloured.clear();
    this.#rest = "";
    this.#open = PLAIN;
  }

  /**
   * @param {string} piece what follows the text so far
   * @returns {number} index of the first line that may differ from before
   */
  append(piece) {
    const firstChanged = this.#dropUnfinished();
    const lines = (this.#rest + piece).split("\n");
    const unfinished = lines.pop() ?? "";
    for (const line of lines) {
      this.#open = this.#add(lastDrawing(line));
    }
    // Of a line that is drawn again and again only the last drawing is needed later.
    const drawing = lastDrawing(unfinished);
    this.#rest = unfinished.endsWith("\r") ? `${drawing}\r` : drawing;
    if (drawing) {
      this.#add(drawing);
    }
    return firstChanged;
  }

  /** The line in pieces of one look each. @param {number} index */
  runs(index) {
    const coloured = this.#coloured.get(index);
    return coloured ? readAnsi(coloured.raw, coloured.open).runs : [{ text: this.texts[index], classes: "" }];
  }

  #dropUnfinished() {
    if (this.#rest && this.#rest !== "\r") {
      this.texts.pop();
      this.#coloured.delete(this.texts.length);
    }
    return this.texts.length;
  }

  /** @returns {typeof PLAIN} how the line leaves the terminal */
  #add(raw) {
    const open = this.#open;
    let after = open;
    if (open !== PLAIN || SPECIAL.test(raw)) {
      after = readAnsi(raw, open).open;
      this.#coloured.set(this.texts.length, { raw, open });
      if (after.fg < 0 && after.bg < 0 && !after.marks) {
        after = PLAIN;
      }
    }
    const text = after === open && open === PLAIN && !SPECIAL.test(raw) ? raw : withoutAnsi(raw);
    this.texts.push(text);
    this.longest = Math.max(this.longest, text.length);
    return after;
  }
}

function lastDrawing(line) {
  return line.includes("\r") ? (line.split("\r").filter(Boolean).at(-1) ?? "") : line;
}
