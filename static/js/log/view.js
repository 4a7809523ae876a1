// What is shown of a log and where one is in it: lines, levels, matches, chosen lines, and whether the end is followed.
import { LogGroups } from "./groups.js";
import { LEVELS, LogLevels } from "./levels.js";
import { lineElement, MOST_CHARACTERS } from "./line.js";
import { LogLines } from "./lines.js";
import { inSlices, LogSearch, placeOf } from "./search.js";
import { timeLength } from "./times.js";
import { LineWindow } from "./window.js";

// How far from its end a log may be scrolled and still be followed.
const FOLLOW_PX = 50;
// So many lines have their levels told at once; of more, they are told bit by bit.
const LINES_AT_ONCE = 5000;

export class LogView {
  /** Something that is told beside the log has changed. @type {() => void} */
  onChange = () => {};
  isFollowing = true;
  /** Lines that have come since the end was left. */
  unseen = 0;
  /** @type {{from: number, to: number} | null} counted from 1 */
  chosen = null;
  /** Whether lines are shown with the time that they begin with. */
  showsTimes = true;
  hasTimes = false;

  #log = new LogLines();
  #levels = new LogLevels();
  #groups = new LogGroups();
  #search = new LogSearch();
  #window;
  /** The lines that are shown, as long as some are not. @type {number[] | null} */
  #shown = null;
  #hidden = new Set();
  /** Whether groups are folded, and the first lines of those with which it is the other way round. */
  #isFolded = false;
  #others = new Set();
  /** Following was turned off by hand: that the end is in view does not turn it on again. */
  #isHeld = false;
  #round = 0;

  /** @param {HTMLElement} scroller */
  constructor(scroller) {
    this.#window = new LineWindow(scroller, (place) => this.#element(place));
    this.#window.onScroll = () => this.#onScroll();
  }

  /** @param {AbortSignal} signal */
  start(signal) {
    this.#window.start(signal);
  }

  get lineCount() {
    return this.#log.texts.length;
  }

  get shownCount() {
    return this.#shown ? this.#shown.length : this.#log.texts.length;
  }

  get levelCounts() {
    return this.#levels.counts;
  }

  get matchCount() {
    return this.#search.matches.length;
  }

  get currentMatch() {
    return this.#search.current;
  }

  get hasGroups() {
    return this.#groups.any;
  }

  get isFolded() {
    return this.#isFolded;
  }

  get hasWords() {
    return this.#search.pattern !== null;
  }

  /**
   * @param {string} text
   * @param {boolean} continues whether it follows what there is, or takes its place
   */
  take(text, continues) {
    const before = this.shownCount;
    if (!continues) {
      this.#log.clear();
      this.#others.clear();
      this.hasTimes = false;
    }
    const firstChanged = this.#log.append(text);
    const { texts } = this.#log;
    const first = continues ? firstChanged : 0;
    this.#levels.forgetFrom(first);
    this.#groups.forgetFrom(first);
    this.#lookForTimes(first);
    this.#round += 1;
    if (this.#shown || texts.length - this.#levels.read < LINES_AT_ONCE) {
      this.#readUntil(texts.length);
    } else {
      this.#readBitByBit();
    }
    // A bar that goes on takes the place of its drawing before.
    const firstShown = Math.max(firstChanged - 1, 0);
    this.#draw(this.#showFrom(firstShown));
    this.#findFrom(firstShown);
    if (!this.isFollowing) {
      this.unseen += Math.max(this.shownCount - before, 0);
    }
    this.onChange();
  }

  toggleFollow() {
    if (this.isFollowing) {
      this.isFollowing = false;
      this.#isHeld = true;
      this.onChange();
    } else {
      this.jumpToLatest();
    }
  }

  jumpToLatest() {
    this.isFollowing = true;
    this.#isHeld = false;
    this.unseen = 0;
    this.#window.scrollToEnd();
    this.onChange();
  }

  /** @param {boolean} isWrapped */
  setWrapped(isWrapped) {
    this.#window.setWrapped(isWrapped);
    this.#setWidth();
    if (this.isFollowing) {
      this.#window.scrollToEnd();
    }
  }

  /** Show all lines but those of some levels. @param {Set<number>} hidden */
  hideLevels(hidden) {
    this.#hidden = hidden;
    this.#showAnew();
  }

  /** Fold all groups, or unfold them. */
  toggleFolds() {
    this.#isFolded = !this.#isFolded;
    this.#others.clear();
    this.#showAnew();
  }

  /** @param {number} first the first line of one group */
  toggleFold(first) {
    if (!this.#others.delete(first)) {
      this.#others.add(first);
    }
    this.#showAnew();
  }

  /** @param {boolean} isShown */
  showTimes(isShown) {
    this.showsTimes = isShown;
    this.#showAnew();
  }

  /** @param {string} words */
  async setWords(words) {
    this.#search.setWords(words);
    this.#window.redraw();
    await this.#findFrom(0);
    if (words && this.#search.current < 0) {
      this.step(1);
    }
  }

  /** Go to the next match, or back. @param {1 | -1} direction */
  step(direction) {
    const from = this.shownCount ? this.#lineAt(this.#window.firstInView) : 0;
    const line = this.#search.step(direction, from);
    if (line >= 0) {
      this.#goTo(line);
    }
    this.onChange();
  }

  /** Choose lines, or none; with `goThere` bring them into view. @param {{from: number, to: number} | null} lines */
  choose(lines, goThere = false) {
    this.chosen = lines;
    if (goThere && lines && lines.from <= this.lineCount) {
      if (this.#shown && this.#shown[this.#placeOf(lines.from - 1)] !== lines.from - 1) {
        this.#isFolded = false;
        this.#others.clear();
        this.hideLevels(new Set());
      }
      this.#goTo(lines.from - 1);
    } else {
      this.#window.redraw();
    }
    this.onChange();
  }

  /** The match that is looked at, else the first line in view; counted from 1. */
  get lineLookedAt() {
    const { matches, current } = this.#search;
    return (current >= 0 ? matches[current] : this.#lineAt(this.#window.firstInView)) + 1;
  }

  /** The chosen lines, or all that are shown. */
  get text() {
    const { texts } = this.#log;
    const words = (line) => texts[line].slice(this.#hiddenTime(line));
    if (this.chosen) {
      const { from, to } = this.chosen;
      const last = Math.min(to, texts.length);
      return Array.from({ length: Math.max(last - from + 1, 0) }, (_, at) => words(from - 1 + at)).join("\n");
    }
    return (this.#shown ? this.#shown.map(words) : texts.map((_, line) => words(line))).join("\n");
  }

  isHidden(level) {
    return this.#hidden.has(level);
  }

  /** @returns {number} the place of the first line that is shown differently now */
  #showFrom(firstLine) {
    if (!this.#shown) {
      return firstLine;
    }
    const place = placeOf(this.#shown, firstLine);
    this.#shown.length = place;
    for (let line = firstLine; line < this.#log.texts.length; line += 1) {
      if (!this.#hidden.has(this.#levels.of(line)) && !this.#isFoldedAway(line)) {
        this.#shown.push(line);
      }
    }
    return place;
  }

  /** After another choice of what is shown; the line that is looked at stays. */
  #showAnew() {
    const line = this.shownCount ? this.#lineAt(this.#window.firstInView) : 0;
    const { length } = this.#log.texts;
    this.#readUntil(length);
    this.#shown = this.#hidden.size || this.#isFolded || this.#others.size ? [] : null;
    this.#showFrom(0);
    this.#draw(0);
    if (!this.isFollowing) {
      this.#window.scrollToLine(this.#placeOf(line));
    }
    this.#findFrom(0);
    this.onChange();
  }

  #isFoldedAway(line) {
    const first = this.#groups.firstOf(line);
    return first >= 0 && this.#isFoldedGroup(first) && !this.#groups.staysFolded(line);
  }

  #isFoldedGroup(first) {
    return this.#isFolded !== this.#others.has(first);
  }

  /** What a line says of the group whose beginning it shows: folded or not. */
  #foldAt(line) {
    const first = this.#groups.firstOf(line);
    const size = this.#groups.sizeOf(first);
    const isFolded = this.#isFoldedGroup(first);
    const stands = isFolded ? this.#groups.staysFolded(line) : line === first;
    return size > 1 && stands ? { first, size, isFolded } : null;
  }

  /** How many characters at the beginning of a line are not shown. */
  #hiddenTime(line) {
    return this.showsTimes ? 0 : timeLength(this.#log.texts[line]);
  }

  #lookForTimes(firstLine) {
    const { texts } = this.#log;
    for (let line = firstLine; line < texts.length && !this.hasTimes; line += 1) {
      this.hasTimes = timeLength(texts[line]) > 0;
    }
  }

  #readUntil(line) {
    this.#levels.readUntil(this.#log.texts, line);
    this.#groups.readUntil(this.#log.texts, line);
  }

  async #readBitByBit() {
    this.#round += 1;
    const round = this.#round;
    const { texts } = this.#log;
    const from = Math.min(this.#levels.read, this.#groups.read);
    const read = (line) => this.#readUntil(Math.max(from, line + 1));
    if (await inSlices(from, texts.length, read, () => round === this.#round)) {
      this.#window.redraw();
      this.onChange();
    }
  }

  async #findFrom(firstLine) {
    const lines = this.#shown ?? { length: this.#log.texts.length };
    if (await this.#search.run(firstLine, lines, this.#log.texts)) {
      this.onChange();
    }
  }

  #draw(firstPlace) {
    const { texts } = this.#log;
    const lengthOf = (place) => {
      const line = this.#lineAt(place);
      return Math.min(texts[line].length - this.#hiddenTime(line), MOST_CHARACTERS);
    };
    this.#window.setLines(this.shownCount, firstPlace, lengthOf);
    this.#setWidth();
    if (this.isFollowing) {
      this.#window.scrollToEnd();
    } else {
      this.#window.draw();
    }
  }

  #setWidth() {
    this.#window.setLongest(Math.min(this.#log.longest, MOST_CHARACTERS));
  }

  #goTo(line) {
    this.isFollowing = false;
    this.#window.redraw();
    this.#window.scrollToLine(this.#placeOf(line));
  }

  #onScroll() {
    const isNearEnd = this.#window.distanceFromEnd <= FOLLOW_PX;
    if (!isNearEnd) {
      this.#isHeld = false;
    }
    const follows = isNearEnd && !this.#isHeld;
    if (follows) {
      this.unseen = 0;
    }
    if (follows !== this.isFollowing) {
      this.isFollowing = follows;
      this.onChange();
    }
  }

  #lineAt(place) {
    return this.#shown ? (this.#shown[place] ?? 0) : place;
  }

  #placeOf(line) {
    return this.#shown ? Math.min(placeOf(this.#shown, line), Math.max(this.#shown.length - 1, 0)) : line;
  }

  #element(place) {
    const line = this.#lineAt(place);
    const { matches, current, pattern } = this.#search;
    const { chosen } = this;
    return lineElement({
      number: line + 1,
      runs: this.#log.runs(line),
      skipped: this.#hiddenTime(line),
      fold: this.#foldAt(line),
      level: line < this.#levels.read ? this.#levels.of(line) : LEVELS.indexOf("info"),
      isChosen: chosen !== null && line + 1 >= chosen.from && line + 1 <= chosen.to,
      isCurrent: current >= 0 && matches[current] === line,
      pattern,
    });
  }
}
