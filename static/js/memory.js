// What a browser remembers for a page. Where it may not, because its owner has forbidden it, nothing is remembered.

/** @param {Storage} storage @param {string} key */
export function recall(storage, key) {
  try {
    return storage.getItem(key);
  } catch {
    return null;
  }
}

/** @param {Storage} storage @param {string} key @param {string} value */
export function remember(storage, key, value) {
  try {
    storage.setItem(key, value);
  } catch {
    // Full, or forbidden.
  }
}
