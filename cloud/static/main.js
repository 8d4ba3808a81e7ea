// Starts what a page needs. Without script every page still works; it is then only not live.
import { follow } from "./live.js";
import { takeForms, takeSearch } from "./forms.js";
import { startClocks } from "./clocks.js";
import { takeExamine } from "./examine.js";
import { takeCsv } from "./csv.js";
import { watchIdle } from "./idle.js";
import { takeViewer } from "./viewer.js";

startClocks();
takeForms();
takeSearch();
takeExamine();
takeCsv();
takeViewer();
watchIdle();
follow();
