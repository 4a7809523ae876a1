// The server's time, because this machine's clock may be wrong, and one tick for all that moves by the second.

// Below this a difference is only the way that the page took.
const TOLERANCE_MS = 2000;

const offset = measureOffset();
/** @type {Set<() => void>} */
const listeners = new Set();
let timer = 0;

/** Milliseconds since 1970 by the server's clock. */
export function serverNow() {
  return Date.now() + offset;
}

/**
 * Call back every second while the page is visible, and at once when it becomes visible again.
 * @param {() => void} listener
 * @param {AbortSignal} signal ends it
 */
export function everySecond(listener, signal) {
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener));
  if (!timer && !document.hidden) {
    start();
  }
}

document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));

function start() {
  stop();
  timer = setInterval(tick, 1000);
  tick();
}

function stop() {
  clearInterval(timer);
  timer = 0;
}

function tick() {
  for (const listener of listeners) {
    listener();
  }
}

function measureOffset() {
  const stamp = Date.parse(document.querySelector('meta[name="server-time"]')?.getAttribute("content") ?? "");
  const [navigation] = performance.getEntriesByType("navigation");
  // A page that the back button brought from the cache was stamped long ago.
  if (Number.isNaN(stamp) || !navigation || navigation.type === "back_forward") {
    return 0;
  }
  const difference = stamp - (performance.timeOrigin + navigation.responseStart);
  return Math.abs(difference) < TOLERANCE_MS ? 0 : difference;
}
