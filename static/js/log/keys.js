// Single keys for the log. They do nothing while one types, and can be turned off.

const STORED_AS = "log-keys";

export function keysAreOn() {
  try {
    return localStorage.getItem(STORED_AS) !== "off";
  } catch {
    return true;
  }
}

/** @param {boolean} isOn */
export function turnKeys(isOn) {
  try {
    localStorage.setItem(STORED_AS, isOn ? "on" : "off");
  } catch {
    // Not remembered, then.
  }
}

/**
 * @param {Element} scope End has its meaning of the browser's own outside of it
 * @param {Record<string, () => void>} actions by the key's name
 * @param {AbortSignal} signal
 */
export function listenForKeys(scope, actions, signal) {
  document.addEventListener(
    "keydown",
    (event) => {
      const action = actions[event.key];
      const isCombined = event.ctrlKey || event.metaKey || event.altKey || event.isComposing;
      if (!action || isCombined || event.defaultPrevented || isTyping(event.target) || document.querySelector("dialog[open]")) {
        return;
      }
      const isHere = event.target === document.body || scope.contains(event.target);
      if (event.key === "End" ? isHere : keysAreOn()) {
        event.preventDefault();
        action();
      }
    },
    { signal },
  );
}

function isTyping(target) {
  return target instanceof Element && target.matches("input, textarea, select, [contenteditable]");
}
