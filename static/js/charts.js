// What only the page with the charts needs: the drawing of charts is as large as all the rest.
import "./elements/job-charts.js";
