// Brings the page to life. Everything here improves markup that works without it.
import "./elements/activity-bell.js";
import "./elements/archive-upload.js";
import "./elements/cancel-job.js";
import "./elements/connection-chip.js";
import "./elements/copy-button.js";
import "./elements/day-charts.js";
import "./elements/file-text.js";
import "./elements/filter-form.js";
import "./elements/hardware-choice.js";
import "./elements/history-import.js";
import "./elements/job-progress.js";
import "./elements/job-selection.js";
import "./elements/live-duration.js";
import "./elements/live-fragment.js";
import "./elements/local-time.js";
import "./elements/log-view.js";
import "./elements/notice-board.js";
import "./elements/refresh-trouble.js";
import "./elements/relative-time.js";
import "./elements/row-menu.js";
import "./elements/status-announcer.js";
import "./elements/sync-button.js";
import "./elements/toast-stack.js";
import "./elements/view-settings.js";
import { tellOfBudgets } from "./budget-news.js";
import { LiveUpdates } from "./live/updates.js";
import { startShortcuts } from "./shortcuts.js";

startShortcuts();
tellOfBudgets();
const chip = document.querySelector("connection-chip");
if (chip) {
  const [eventsUrl, refreshUrl, reader] = ["events", "refresh", "reader"].map((name) => chip.getAttribute(name));
  new LiveUpdates({ eventsUrl, refreshUrl, reader }).start();
}
