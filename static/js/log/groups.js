// Which lines belong together: what stands between `::group::` and `::endgroup::`, and a bar that was drawn on one line
// after another.
import { timeLength } from "./times.js";

const OPENS = /^\s*(?:::group::|##\[group\])/;
const CLOSES = /^\s*(?:::endgroup::|##\[endgroup\])/;
// tqdm and its like: what is counted, how far it is, and the bar.
const BAR = /^(.{0,120}?)\s*\d{1,3}%\s?\|/;
const NONE = -1;

/** The groups of the lines of one log, read as they are asked for. A group is known by its first line. */
export class LogGroups {
  /** For each line the first one of its group, from 1 on; 0: it belongs to none. */
  #firsts = new Int32Array(1024);
  /** @type {Map<number, {size: number, bar: string | null, end: number}>} `end`: the line that closes it */
  #groups = new Map();
  #foldable = 0;
  /** How many lines have been read. */
  read = 0;

  /** Whether there is anything to fold. */
  get any() {
    return this.#foldable > 0;
  }

  /** @param {number} index as all after it, this line is to be read again */
  forgetFrom(index) {
    for (let at = this.read - 1; at >= index; at -= 1) {
      const first = this.firstOf(at);
      const group = this.#groups.get(first);
      if (group) {
        this.#foldable -= group.size === 2 ? 1 : 0;
        group.size -= 1;
        group.end = group.end === at ? NONE : group.end;
        if (group.size === 0) {
          this.#groups.delete(first);
        }
      }
    }
    this.read = Math.min(this.read, index);
  }

  /** @param {string[]} texts @param {number} until */
  readUntil(texts, until) {
    if (until > this.#firsts.length) {
      const larger = new Int32Array(Math.max(until, this.#firsts.length * 2));
      larger.set(this.#firsts);
      this.#firsts = larger;
    }
    for (; this.read < until; this.read += 1) {
      this.#add(this.read, texts[this.read]);
    }
  }

  /** @param {number} line @returns {number} the first line of its group, -1 if it belongs to none */
  firstOf(line) {
    return line >= 0 && line < this.read ? this.#firsts[line] - 1 : NONE;
  }

  /** @param {number} first */
  sizeOf(first) {
    return this.#groups.get(first)?.size ?? 0;
  }

  /**
   * The one line of a group that stays while it is folded: what a group is called, and of a bar its last drawing.
   * @param {number} line
   */
  staysFolded(line) {
    const first = this.firstOf(line);
    return this.#groups.get(first)?.bar == null ? line === first : this.firstOf(line + 1) !== first;
  }

  #add(line, text) {
    const before = this.read > 0 ? this.#firsts[line - 1] - 1 : NONE;
    const last = this.#groups.get(before);
    const isOpen = last !== undefined && last.bar === null && last.end === NONE;
    if (OPENS.test(text)) {
      this.#begin(line, null);
    } else if (isOpen) {
      this.#join(line, before, last);
      last.end = CLOSES.test(text) ? line : NONE;
    } else {
      const bar = barOf(text);
      if (bar === null) {
        this.#firsts[line] = 0;
      } else if (last?.bar === bar) {
        this.#join(line, before, last);
      } else {
        this.#begin(line, bar);
      }
    }
  }

  #begin(line, bar) {
    this.#firsts[line] = line + 1;
    this.#groups.set(line, { size: 1, bar, end: NONE });
  }

  #join(line, first, group) {
    this.#firsts[line] = first + 1;
    group.size += 1;
    this.#foldable += group.size === 2 ? 1 : 0;
  }
}

/** What a bar counts; `null` if the line draws none. */
function barOf(text) {
  if (!text.includes("%")) {
    return null;
  }
  return BAR.exec(text.slice(timeLength(text)))?.[1].trim() ?? null;
}
