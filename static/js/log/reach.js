// How far one can scroll. A browser draws nothing higher than some number of pixels (Firefox: 17 million), so of a text
// that is higher the scroller is only as high as `MOST_PX`, and the rest is ahead of it: a drag of the scroll bar goes
// through all of the text, while a turn of the wheel moves it by as many pixels as ever.

const MOST_PX = 8_000_000;
// A wheel or a key moves by less, a drag or a jump by more.
const JUMP_VIEWS = 2;
// A jump may be animated, and ends with small steps.
const JUMP_LASTS_MS = 200;

export class Reach {
  /** By how much the text in view is farther down than the scroller. */
  ahead = 0;

  #scroller;
  #spacer;
  /** By how much the text is higher than the spacer. */
  #beyond = 0;
  #last = 0;
  #jumpedAt = -Infinity;

  /**
   * @param {HTMLElement} scroller
   * @param {HTMLElement} spacer
   */
  constructor(scroller, spacer) {
    this.#scroller = scroller;
    this.#spacer = spacer;
  }

  /** @param {number} pixels of the whole text */
  set height(pixels) {
    this.#spacer.style.height = `${Math.min(pixels, MOST_PX)}px`;
    this.#beyond = Math.max(pixels - MOST_PX, 0);
    this.ahead = Math.min(this.ahead, this.#beyond);
  }

  /** The text's place at the upper edge of the view. */
  get top() {
    return this.#scroller.scrollTop + this.ahead;
  }

  /** The scroll bar goes to where that is in the whole text. */
  set top(pixels) {
    const wanted = Math.max(Math.min(pixels, this.end), 0);
    this.#scroller.scrollTop = this.#beyond ? (wanted * this.#room) / (this.#room + this.#beyond) : wanted;
    this.#last = this.#scroller.scrollTop;
    this.ahead = this.#beyond ? Math.max(wanted - this.#last, 0) : 0;
  }

  /** The farthest that `top` can be. */
  get end() {
    return this.#room + this.#beyond;
  }

  get #room() {
    return Math.max(this.#scroller.scrollHeight - this.#scroller.clientHeight, 0);
  }

  /** Move the text by some pixels without a jump of the scroll bar, if that can be. @param {number} pixels */
  shift(pixels) {
    const ahead = Math.max(Math.min(this.ahead + pixels, this.#beyond), 0);
    const rest = pixels - (ahead - this.ahead);
    this.ahead = ahead;
    if (rest) {
      this.#scroller.scrollTop += rest;
      this.#last = this.#scroller.scrollTop;
    }
  }

  /** Take over where a reader has scrolled to. */
  follow() {
    const { scrollTop, clientHeight } = this.#scroller;
    if (this.#beyond) {
      const now = performance.now();
      const isFar = Math.abs(scrollTop - this.#last) > JUMP_VIEWS * clientHeight;
      const isJump = isFar || now - this.#jumpedAt < JUMP_LASTS_MS;
      if (isJump) {
        this.#jumpedAt = now;
        this.ahead = (this.#beyond * scrollTop) / Math.max(this.#room, 1);
      } else if (scrollTop < 1) {
        this.#goOn(this.ahead, 0);
      } else if (scrollTop > this.#room - 1) {
        this.#goOn(this.#beyond - this.ahead, this.#beyond);
      }
    }
    this.#last = this.#scroller.scrollTop;
  }

  /** The scroller has come to its end before the text has: it goes on from the right place, or is there by a view. */
  #goOn(left, endAhead) {
    if (left < this.#scroller.clientHeight) {
      this.ahead = endAhead;
    } else {
      this.top = Math.min(this.top, this.end);
    }
  }
}
