// `#L120` and `#L120-L130`: lines of a log in the page's address.

/** @param {string} hash @returns {{from: number, to: number} | null} counted from 1 */
export function linesOf(hash) {
  const match = /^#L(\d{1,9})(?:-L?(\d{1,9}))?$/.exec(hash);
  if (!match) {
    return null;
  }
  const ends = [Number(match[1]), Number(match[2] ?? match[1])].sort((one, other) => one - other);
  return ends[0] > 0 ? { from: ends[0], to: ends[1] } : null;
}

/** @param {{from: number, to: number}} lines */
export function hashOf({ from, to }) {
  return from === to ? `#L${from}` : `#L${from}-L${to}`;
}
