// Which of a browser's tabs holds the connection: the one that has the lock. Its end, however it comes, frees the lock.

export class Leadership {
  /** @type {AbortController | null} */
  #request = null;
  #release = () => {};
  #isLeader = false;

  /** @param {string} name @param {{onGain: () => void, onLoss: () => void}} listener */
  constructor(name, { onGain, onLoss }) {
    this.name = name;
    this.onGain = onGain;
    this.onLoss = onLoss;
  }

  get isLeader() {
    return this.#isLeader;
  }

  /** Stand in line; whoever leads now goes on leading. */
  seek() {
    if (this.#request) {
      return;
    }
    if (!navigator.locks) {
      // Locks are for secure origins only: on others each tab looks after itself.
      this.#request = new AbortController();
      this.#gain();
      return;
    }
    this.#ask({});
  }

  /** Lead at once: the leader is there, but says nothing any more. */
  seize() {
    this.giveUp();
    this.#ask({ steal: true });
  }

  /** Let others lead, and do not stand in line. */
  giveUp() {
    this.#request?.abort();
    this.#request = null;
    this.#lose();
  }

  #ask(options) {
    const request = new AbortController();
    this.#request = request;
    const asked = options.steal ? options : { signal: request.signal };
    navigator.locks
      .request(this.name, asked, () => {
        if (request.signal.aborted) {
          return undefined;
        }
        return new Promise((release) => {
          this.#release = () => release(undefined);
          this.#gain();
        });
      })
      .catch(() => {
        // Given up while in line, or another tab has seized the lock.
        if (this.#request === request) {
          this.giveUp();
          this.seek();
        }
      });
  }

  #gain() {
    this.#isLeader = true;
    this.onGain();
  }

  #lose() {
    if (this.#isLeader) {
      this.#isLeader = false;
      this.onLoss();
    }
    this.#release();
    this.#release = () => {};
  }
}
