// How elements speak to each other without knowing each other.
const target = new EventTarget();

/**
 * @param {string} name
 * @param {unknown} [detail]
 */
export function emit(name, detail) {
  target.dispatchEvent(new CustomEvent(name, { detail }));
}

/**
 * @param {string} name
 * @param {(detail: any) => void} listener
 * @param {AbortSignal} [signal] ends the listening
 */
export function on(name, listener, signal) {
  target.addEventListener(name, (event) => listener(event.detail), { signal });
}
