// <file-text for>: what is in the chosen file goes into the text field of that id, where it can be looked over.
import { gettext } from "../i18n.js";
import { emit } from "../bus.js";

const MOST_BYTES = 1024 * 1024;

customElements.define(
  "file-text",
  class extends HTMLElement {
    connectedCallback() {
      this.querySelector('input[type="file"]').addEventListener("change", (event) => this.#read(event.target));
    }

    async #read(input) {
      const [file] = input.files;
      if (!file) {
        return;
      }
      if (file.size > MOST_BYTES) {
        emit("toast", { text: gettext("The file is larger than 1 MB."), tone: "error" });
      } else {
        document.getElementById(this.getAttribute("for")).value = await file.text();
      }
      // Sent as well, it would win over what is changed in the field.
      input.value = "";
    }
  },
);
