// A <details> that hangs below its button like a menu.

/** Close it by Escape, which leads back to the button, and by a click elsewhere. @param {HTMLElement} details */
export function closeLikeAMenu(details) {
  details.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && details.hasAttribute("open")) {
      event.stopPropagation();
      details.removeAttribute("open");
      details.querySelector("summary")?.focus();
    }
  });
  document.addEventListener("click", (event) => {
    if (event.target instanceof Node && !details.contains(event.target)) {
      details.removeAttribute("open");
    }
  });
}
