// A budget that is nearly used up, or has been: said once, as a message that the bell keeps.
import { emit, on } from "./bus.js";
import { fill, gettext } from "./i18n.js";
import { shownJob } from "./shown-job.js";

const NEARLY_PERCENT = 80;
const FULL_PERCENT = 100;

/** Listen for the marks that budgets reach. */
export function tellOfBudgets() {
  on("job_budget", ({ job_id: id, percent }) => {
    if (percent < NEARLY_PERCENT) {
      return;
    }
    const isFull = percent >= FULL_PERCENT;
    const words = { name: shownJob(id).name || id, percent };
    const text = isFull
      ? fill(gettext("Budget of %(name)s reached: cancel sent"), words)
      : fill(gettext("%(name)s has used %(percent)s %% of its budget"), words);
    emit("toast", { text, tone: "warning" });
  });
}
