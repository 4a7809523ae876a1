// <archive-upload action limit>: sends the chosen file at once, and tells how far it is; the form then names it only.
// Without it the file goes along with the form.
import { fileSize } from "../format.js";
import { fill, gettext } from "../i18n.js";
import { retold } from "../retold.js";

customElements.define(
  "archive-upload",
  class extends HTMLElement {
    #request = null;

    connectedCallback() {
      this.#input.addEventListener("change", () => this.#start(this.#input.files[0]));
      this.#part("stop").addEventListener("click", () => this.#request?.abort());
      this.#part("remove").addEventListener("click", () => this.#remove());
      this.closest("form").addEventListener("submit", (event) => {
        if (this.#request) {
          event.preventDefault();
          this.#tell(gettext("The archive is still being uploaded."));
        }
      });
    }

    disconnectedCallback() {
      this.#request?.abort();
    }

    #start(file) {
      this.#request?.abort();
      this.#tell("");
      if (!file) {
        return;
      }
      if (file.size > Number(this.getAttribute("limit"))) {
        this.#input.value = "";
        this.#tell(
          fill(gettext("The file has %(size)s; at most %(limit)s are taken."), {
            size: fileSize(file.size),
            limit: fileSize(Number(this.getAttribute("limit"))),
          }),
        );
        return;
      }
      this.#send(file);
    }

    #send(file) {
      // Only this kind of request tells how much has been sent.
      const request = new XMLHttpRequest();
      this.#request = request;
      request.open("POST", `${this.getAttribute("action")}?${new URLSearchParams({ name: file.name })}`);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.setRequestHeader("X-CSRFToken", this.closest("form").elements.csrfmiddlewaretoken.value);
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => this.#showProgress(event.loaded, event.total));
      request.addEventListener("load", () => this.#onAnswer(request));
      request.addEventListener("error", () => this.#tell(gettext("The server cannot be reached.")));
      request.addEventListener("abort", () => this.#tell(gettext("The upload was stopped.")));
      request.addEventListener("loadend", () => this.#end(request));
      this.#showProgress(0, file.size);
      this.#part("kept").hidden = true;
      this.#part("progress").hidden = false;
      request.send(file);
    }

    #onAnswer({ status, response }) {
      if (status !== 201) {
        this.#tell(response?.detail ? retold(response.detail) : gettext("The server answered with an error.") + ` (${status})`);
        return;
      }
      this.#upload.value = response.upload_id;
      const words = { name: response.name, size: fileSize(response.size_bytes) };
      this.#part("kept-text").textContent = fill(
        gettext("%(name)s (%(size)s) has arrived and goes with the job."),
        words,
      );
      this.#part("kept").hidden = false;
    }

    #end(request) {
      if (this.#request !== request) {
        return;
      }
      this.#request = null;
      this.#part("progress").hidden = true;
      // Left there, it would be sent a second time with the form.
      this.#input.value = "";
      this.#part("kept").hidden = !this.#upload.value;
    }

    #remove() {
      this.#upload.value = "";
      this.#part("kept").hidden = true;
      this.#input.focus();
    }

    #showProgress(sent, total) {
      this.#part("bar").value = total ? (100 * sent) / total : 0;
      this.#part("figures").textContent = fill(gettext("%(sent)s of %(size)s"), {
        sent: fileSize(sent),
        size: fileSize(total),
      });
    }

    #tell(problem) {
      const place = this.#part("problem");
      place.textContent = problem;
      place.hidden = !problem;
    }

    get #input() {
      return this.querySelector('input[type="file"]');
    }

    get #upload() {
      return this.querySelector('input[name="upload_id"]');
    }

    #part(name) {
      return this.querySelector(`[data-part="${name}"]`);
    }
  },
);
