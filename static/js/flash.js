// Lets what has changed light up, once. `data-state` says what of an element counts as a change: not a time that passes,
// nor a bar that moves by itself.

const FLASH_MS = 1600;
// Of a page that lights up all over nobody sees where to look.
const MOST_FLASHES = 60;

/** @param {Element} root @returns {Map<Element, string>} what its parts say of themselves now */
export function statesOf(root) {
  return new Map([...root.querySelectorAll("[data-state]")].map((element) => [element, element.dataset.state]));
}

/** @param {Element} root @param {Map<Element, string>} before what `statesOf` said before it changed */
export function flashChanges(root, before) {
  if (before.size === 0) {
    return;
  }
  const changed = [...statesOf(root)].filter(([element, state]) => before.get(element) !== state);
  for (const [element] of changed.slice(0, MOST_FLASHES)) {
    flash(element);
  }
}

/** Its ground alone changes, so nothing moves. @param {Element} element */
export function flash(element) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    return;
  }
  const light = getComputedStyle(element).getPropertyValue("--warning-wash").trim() || "Mark";
  element.animate([{ backgroundColor: light }, { backgroundColor: "transparent" }], {
    id: "flash",
    duration: FLASH_MS,
    easing: "ease-out",
  });
}
