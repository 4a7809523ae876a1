// What the page shows of a job: in a row, or as the job that the page is about.

/** @param {string} id @returns {{name: string, status: string}} in the reader's words; empty where it is not shown */
export function shownJob(id) {
  const row = document.querySelector(`[data-key="${CSS.escape(`job-${id}`)}"]`);
  const title = document.querySelector(".job-title");
  const place = row ?? (title?.querySelector(".id")?.textContent === id ? title : null);
  return {
    name: place?.querySelector(".job-name, h1")?.textContent?.trim() ?? "",
    status: place?.querySelector(".status > span")?.textContent?.trim() ?? "",
  };
}
