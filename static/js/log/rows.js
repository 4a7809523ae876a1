// How high each of many lines is, in rows of text, and where each begins: a Fenwick tree.

export class Rows {
  #values = new Int32Array(1024);
  #tree = new Int32Array(1025);
  length = 0;
  total = 0;

  clear() {
    this.length = 0;
    this.total = 0;
  }

  /** @param {number} rows */
  push(rows) {
    if (this.length === this.#values.length) {
      this.#values = grown(this.#values, this.length * 2);
      this.#tree = grown(this.#tree, this.length * 2 + 1);
    }
    this.#values[this.length] = rows;
    this.length += 1;
    const place = this.length;
    this.#tree[place] = this.total - this.before(place - (place & -place)) + rows;
    this.total += rows;
  }

  /** @param {number} length forget all lines beyond */
  truncate(length) {
    if (length < this.length) {
      this.total = this.before(length);
      this.length = length;
    }
  }

  /** @param {number} index */
  at(index) {
    return this.#values[index];
  }

  /** @param {number} index @param {number} rows */
  set(index, rows) {
    const more = rows - this.#values[index];
    this.#values[index] = rows;
    this.total += more;
    for (let place = index + 1; place <= this.length; place += place & -place) {
      this.#tree[place] += more;
    }
  }

  /** Rows of all lines before this one. @param {number} index */
  before(index) {
    let sum = 0;
    for (let place = index; place > 0; place -= place & -place) {
      sum += this.#tree[place];
    }
    return sum;
  }

  /** The line that a row belongs to. @param {number} row */
  lineAt(row) {
    let place = 0;
    let left = row;
    for (let step = 1 << Math.floor(Math.log2(this.length || 1)); step > 0; step >>= 1) {
      if (place + step <= this.length && this.#tree[place + step] <= left) {
        place += step;
        left -= this.#tree[place];
      }
    }
    return Math.max(Math.min(place, this.length - 1), 0);
  }
}

function grown(array, length) {
  const larger = new Int32Array(length);
  larger.set(array);
  return larger;
}
