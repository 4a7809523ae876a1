// <copy-button text>: puts its text on the clipboard.
import { emit } from "../bus.js";
import { gettext } from "../i18n.js";

customElements.define(
  "copy-button",
  class extends HTMLElement {
    connectedCallback() {
      this.addEventListener("click", () => copyText(this.getAttribute("text") ?? ""));
    }
  },
);

/** Copy, and say whether it worked: browsers refuse it on pages that are not served safely. @param {string} text */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    emit("toast", { text: gettext("Copied"), tone: "success" });
  } catch {
    emit("toast", { text: gettext("The browser does not allow copying here."), tone: "error" });
  }
}
