// Starts what a page needs. Without script every page still works; it is then only not live.
import { follow } from "./live.js";
import { takeForms, takeSearch } from "./forms.js";
import { startClocks } from "./clocks.js";

startClocks();
takeForms();
takeSearch();
follow();
