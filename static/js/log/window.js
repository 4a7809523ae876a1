// Draws of many lines only those in view. The scroll bar is the browser's own: a spacer is as high as all lines would be,
// or, of more than a browser can be that high, stands for them.
import { Reach } from "./reach.js";
import { Rows } from "./rows.js";

// Lines drawn above and below those in view, so that a quick flick shows no gap.
const SPARE_LINES = 24;
// Heights that were reckoned wrongly move what is in view; it settles at once, or it never will.
const MOST_PASSES = 4;
const PROBE_CHARACTERS = 100;

export class LineWindow {
  /** How far from its end the text is scrolled is told here. @type {() => void} */
  onScroll = () => {};

  #scroller;
  #spacer;
  #stage;
  #probe;
  #drawLine;
  #reach;
  #rows = new Rows();
  /** @type {Map<number, HTMLElement>} */
  #drawn = new Map();
  /** @type {[number, HTMLElement][]} drawn, but not measured yet */
  #fresh = [];
  #lengthOf = (_index) => 0;
  #lineHeight = 18;
  #columns = 80;
  #isWrapped = true;
  #frame = 0;
  #width = 0;

  /**
   * @param {HTMLElement} scroller
   * @param {(index: number) => HTMLElement} drawLine
   */
  constructor(scroller, drawLine) {
    this.#scroller = scroller;
    this.#drawLine = drawLine;
    this.#spacer = element("log-spacer");
    this.#stage = element("log-stage");
    this.#probe = element("log-line log-probe");
    this.#probe.setAttribute("aria-hidden", "true");
    this.#probe.append(element("log-text"));
    this.#probe.firstChild.dataset.zeros = "0".repeat(PROBE_CHARACTERS);
    this.#spacer.append(this.#stage);
    scroller.replaceChildren(this.#probe, this.#spacer);
    this.#reach = new Reach(scroller, this.#spacer);
  }

  /** Until the signal aborts. @param {AbortSignal} signal */
  start(signal) {
    this.#scroller.addEventListener("scroll", () => this.#onScrolled(), { signal, passive: true });
    const watcher = new ResizeObserver(() => this.#onResized());
    watcher.observe(this.#scroller);
    signal.addEventListener("abort", () => {
      watcher.disconnect();
      cancelAnimationFrame(this.#frame);
      this.#frame = 0;
    });
    this.#measure();
  }

  get distanceFromEnd() {
    return this.#reach.end - this.#reach.top;
  }

  get firstInView() {
    return this.#rows.lineAt(Math.ceil(this.#reach.top / this.#lineHeight));
  }

  get count() {
    return this.#rows.length;
  }

  /**
   * @param {number} count how many lines there are now
   * @param {number} firstChanged the first whose text or place may differ from before
   * @param {(index: number) => number} lengthOf characters of a line
   */
  setLines(count, firstChanged, lengthOf) {
    this.#lengthOf = lengthOf;
    this.#rows.truncate(Math.min(firstChanged, count));
    for (let index = this.#rows.length; index < count; index += 1) {
      this.#rows.push(this.#reckon(index));
    }
    this.#forgetFrom(firstChanged);
  }

  /** @param {number} characters of the longest line */
  setLongest(characters) {
    this.#spacer.style.minWidth = this.#isWrapped ? "" : `calc(${characters}ch + 2 * var(--log-gutter))`;
  }

  /** @param {boolean} isWrapped */
  setWrapped(isWrapped) {
    const first = this.firstInView;
    this.#isWrapped = isWrapped;
    this.#reckonAll();
    this.#fresh = [...this.#drawn];
    this.#scrollBackTo(first);
    this.draw();
  }

  /** Draw every line anew: what is marked in them has changed. */
  redraw() {
    this.#forgetFrom(0);
    this.draw();
  }

  scrollToEnd() {
    for (let pass = 0; pass < MOST_PASSES; pass += 1) {
      this.#resize();
      this.#reach.top = this.#reach.end;
      this.draw();
      if (this.distanceFromEnd < 1) {
        break;
      }
    }
  }

  /** Bring a line into view, a third from above. @param {number} index */
  scrollToLine(index) {
    for (let pass = 0; pass < MOST_PASSES; pass += 1) {
      this.#resize();
      const top = this.#rows.before(index) * this.#lineHeight - this.#scroller.clientHeight / 3;
      this.#reach.top = top;
      if (!this.draw()) {
        break;
      }
    }
  }

  /** Draw what is in view. @returns {boolean} whether heights turned out to be other than reckoned */
  draw() {
    let hasMoved = false;
    for (let pass = 0; pass < MOST_PASSES; pass += 1) {
      this.#resize();
      this.#place();
      if (!this.#isWrapped || !this.#correct()) {
        this.#fresh.length = 0;
        break;
      }
      hasMoved = true;
    }
    return hasMoved;
  }

  #onScrolled() {
    if (!this.#frame) {
      this.#frame = requestAnimationFrame(() => {
        this.#frame = 0;
        this.#reach.follow();
        this.draw();
        this.onScroll();
      });
    }
  }

  #onResized() {
    const width = this.#scroller.clientWidth;
    if (width > 0 && width !== this.#width) {
      const isAtEnd = this.distanceFromEnd < 1;
      const first = this.firstInView;
      this.#measure();
      this.#reckonAll();
      if (isAtEnd) {
        this.scrollToEnd();
      } else {
        this.#scrollBackTo(first);
      }
    }
    this.draw();
  }

  /** After all heights have changed. */
  #scrollBackTo(index) {
    // A place below the old end is not to be had before there is room for it.
    this.#resize();
    this.#reach.top = this.#rows.before(index) * this.#lineHeight;
  }

  #measure() {
    this.#width = this.#scroller.clientWidth;
    const { width } = this.#probe.firstChild.getBoundingClientRect();
    const { paddingInlineStart, paddingInlineEnd } = getComputedStyle(this.#probe);
    const room = this.#width - parseFloat(paddingInlineStart) - parseFloat(paddingInlineEnd);
    if (width > 0) {
      this.#lineHeight = this.#probe.getBoundingClientRect().height;
      this.#columns = Math.max(Math.floor((room / width) * PROBE_CHARACTERS + 0.01), 1);
    }
  }

  /** As a terminal does: a line breaks after so many characters, wherever that is. */
  #reckon(index) {
    return this.#isWrapped ? Math.max(Math.ceil(this.#lengthOf(index) / this.#columns), 1) : 1;
  }

  #reckonAll() {
    const count = this.#rows.length;
    this.#rows.clear();
    for (let index = 0; index < count; index += 1) {
      this.#rows.push(this.#reckon(index));
    }
  }

  #forgetFrom(index) {
    for (const [place, node] of this.#drawn) {
      if (place >= index) {
        node.remove();
        this.#drawn.delete(place);
      }
    }
  }

  #resize() {
    this.#reach.height = this.#rows.total * this.#lineHeight;
  }

  #place() {
    const { length } = this.#rows;
    if (length === 0) {
      this.#forgetFrom(0);
      return;
    }
    const top = this.#reach.top / this.#lineHeight;
    const bottom = top + this.#scroller.clientHeight / this.#lineHeight;
    const first = Math.max(this.#rows.lineAt(Math.floor(top)) - SPARE_LINES, 0);
    const last = Math.min(this.#rows.lineAt(Math.ceil(bottom)) + SPARE_LINES, length - 1);
    for (const [index, node] of this.#drawn) {
      if (index < first || index > last) {
        node.remove();
        this.#drawn.delete(index);
      }
    }
    // Lines that stay in view keep their nodes, and with them a selection.
    let follower = null;
    for (let index = last; index >= first; index -= 1) {
      let node = this.#drawn.get(index);
      if (!node) {
        node = this.#drawLine(index);
        this.#drawn.set(index, node);
        this.#fresh.push([index, node]);
        this.#stage.insertBefore(node, follower);
      }
      follower = node;
    }
    this.#stage.style.transform = `translateY(${this.#rows.before(first) * this.#lineHeight - this.#reach.ahead}px)`;
  }

  /** Take over the heights as drawn, and keep the first line in view where it is. */
  #correct() {
    const anchor = this.firstInView;
    const before = this.#rows.before(anchor);
    let hasChanged = false;
    for (const [index, node] of this.#fresh.splice(0)) {
      const rows = Math.max(Math.round(node.offsetHeight / this.#lineHeight), 1);
      if (rows !== this.#rows.at(index)) {
        this.#rows.set(index, rows);
        hasChanged = true;
      }
    }
    const moved = (this.#rows.before(anchor) - before) * this.#lineHeight;
    if (moved) {
      this.#resize();
      this.#reach.shift(moved);
    }
    return hasChanged;
  }
}

function element(name) {
  const made = document.createElement("span");
  made.className = name;
  return made;
}
