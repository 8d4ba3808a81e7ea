// Forms are sent without leaving the page; the answer to "what is it now" comes by fetching the page.
import { refreshSoon } from "./live.js";

function notice(text) {
  const box = document.getElementById("notice");
  box.textContent = text;
  box.hidden = !text;
}

async function send(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  body.set("csrf", document.body.dataset.csrf);
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  try {
    const headers = { "x-chiasm-fetch": "1" };
    const response = await fetch(form.action, { method: "POST", body, headers, redirect: "manual" });
    if (response.type === "opaqueredirect" || response.ok) {
      notice("");
      form.closest("details")?.removeAttribute("open");
      refreshSoon(0);
    } else if (response.status === 401) {
      location.reload();
    } else {
      const fault = await response.json().catch(() => ({ message: "That did not work." }));
      notice(fault.message);
      refreshSoon(0);
    }
  } catch {
    notice("The server cannot be reached. Nothing was changed; try again.");
  } finally {
    for (const button of form.querySelectorAll("button")) button.disabled = false;
  }
}

export function takeForms() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.dataset.plain !== undefined) return;
    event.preventDefault();
    send(form, event.submitter);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") notice("");
  });
}

const field = () => document.querySelector("[data-find]");

// Shows the patients that fit what is typed.
export function filterAgain() {
  const find = field();
  if (!find) return;
  const words = find.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const tile of document.querySelectorAll("[data-haystack]")) {
    const fits = words.every((word) => tile.dataset.haystack.includes(word));
    tile.hidden = !fits;
    if (fits) shown += 1;
  }
  document.getElementById("find-none").hidden = shown > 0 || words.length === 0;
}

// A barcode scanner types the chart number or the slip's identifier and Enter, as a keyboard does.
export function takeSearch() {
  const find = field();
  if (!find) return;
  find.addEventListener("input", filterAgain);
  find.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const typed = find.value.trim().toLowerCase();
    const tiles = [...document.querySelectorAll("[data-haystack]")];
    const ids = ({ dataset }) => [dataset.chart.toLowerCase(), dataset.accession.toLowerCase()];
    const exact = tiles.filter((tile) => ids(tile).includes(typed));
    const fitting = tiles.filter((tile) => !tile.hidden);
    // A name opens nothing by Enter unless it is the only one; two visits today ask for a tap.
    const [only, ...others] = exact.length > 0 ? exact : fitting;
    if (typed && only && others.length === 0) {
      only.querySelector("form").requestSubmit();
      find.value = "";
      filterAgain();
    }
  });
  // A scanner does not click into a field first.
  document.addEventListener("keydown", (event) => {
    const isText = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
    const isFree = event.target === document.body || event.target.id === "main";
    if (isText && isFree && event.key !== " ") field()?.focus();
  });
}
