// Who notices that the page may be out of date says so here; the fragments of the page listen.
import { emit } from "./bus.js";

let missed = false;

/**
 * What is shown may be out of date. A hidden page is not refreshed; it makes up for it once when it is seen again.
 * @param {"quick" | "slow"} [pace] `slow` means everything, also what rarely changes
 */
export function outdated(pace = "quick") {
  if (document.hidden) {
    missed = true;
    return;
  }
  emit("outdated", { pace });
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && missed) {
    missed = false;
    outdated("slow");
  }
});

addEventListener("pageshow", (event) => {
  const [navigation] = performance.getEntriesByType("navigation");
  // The back button shows the page as it was when it was left.
  if (event.persisted || navigation?.type === "back_forward") {
    outdated("slow");
  }
});
