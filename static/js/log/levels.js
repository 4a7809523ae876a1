// How grave a line is, by the ways in which trainers, loggers and Python itself say so.

export const LEVELS = ["error", "warning", "info", "debug"];
const ERROR = 0, WARNING = 1, INFO = 2, DEBUG = 3;

// The word of a level as loggers write it; the first in a line is the logger's, later ones are somebody's words.
const WORD = /\b(?:(ERROR|CRITICAL|FATAL|SEVERE)|(WARN(?:ING)?)|(INFO|NOTICE)|(DEBUG|TRACE))\b/;
const NAMED = /\b(?:level|levelname|severity)["']?\s?[:=]\s?["']?(?:(err\w*|crit\w*|fatal)|(warn\w*)|(info|notice)|(debug|trace))\b/i;
// glog's `E0512 12:34:56`.
const GLOG = /^(?:([EF])|(W)|(I)|(D))\d{4} \d\d:/;
const RANK = "(?:\\[?rank ?\\d+\\]?:? ?)?";
const EXCEPTION = new RegExp(`^${RANK}(?:[\\w.]+\\.)?\\w*(?:Error|Exception|Interrupt)(?:: |$)`, "i");
const TROUBLE = new RegExp(
  `^${RANK}\\s*(?:error\\b[:!]|fatal\\b|killed\\b|segmentation fault|aborted\\b|panic:|terminate called)|CUDA out of memory|\\bOOM[- ]?kill`,
  "i",
);
const CAUTION = /(?:^|\s|\b)\w*Warning:|^\s*warning\b[:!]/i;
const TRACEBACK = /Traceback \(most recent call last\)/;
const INDENTED = /^(?:\[?rank ?\d+\]?:?(?:\s\s|\s?$)|\s|$)/i;
const BETWEEN_TRACEBACKS = new RegExp(`^${RANK}(?:During handling of the above exception|The above exception was)`, "i");

const LEVEL_BITS = 3;
const IN_TRACEBACK = 4;

/** The levels of the lines of one log, read as they are asked for. */
export class LogLevels {
  #found = new Uint8Array(1024);
  /** How many lines have been read. */
  read = 0;
  counts = [0, 0, 0, 0];

  /** @param {number} index as all after it, this line is to be read again */
  forgetFrom(index) {
    for (let at = index; at < this.read; at += 1) {
      this.counts[this.#found[at] & LEVEL_BITS] -= 1;
    }
    this.read = Math.min(this.read, index);
  }

  /** @param {string[]} texts @param {number} until */
  readUntil(texts, until) {
    if (until > this.#found.length) {
      const larger = new Uint8Array(Math.max(until, this.#found.length * 2));
      larger.set(this.#found);
      this.#found = larger;
    }
    for (; this.read < until; this.read += 1) {
      const isInside = this.read > 0 && (this.#found[this.read - 1] & IN_TRACEBACK) !== 0;
      const found = levelOf(texts[this.read], isInside);
      this.#found[this.read] = found;
      this.counts[found & LEVEL_BITS] += 1;
    }
  }

  /** @param {number} index of a line that has been read */
  of(index) {
    return this.#found[index] & LEVEL_BITS;
  }
}

/** The level, and a flag where the next line goes on with a traceback. */
function levelOf(text, isInTraceback) {
  if (TRACEBACK.test(text) || BETWEEN_TRACEBACKS.test(text) || (isInTraceback && INDENTED.test(text))) {
    return ERROR | IN_TRACEBACK;
  }
  // A line that begins at the margin ends a traceback: it names the exception.
  if (isInTraceback || EXCEPTION.test(text)) {
    return ERROR;
  }
  const head = text.length > 400 ? text.slice(0, 400) : text;
  const said = WORD.exec(head) ?? NAMED.exec(head) ?? GLOG.exec(head);
  if (said) {
    return said[1] ? ERROR : said[2] ? WARNING : said[3] ? INFO : DEBUG;
  }
  if (TROUBLE.test(head)) {
    return ERROR;
  }
  return CAUTION.test(head) ? WARNING : INFO;
}
