// Follows the page's events. An event carries identifiers only; the page then fetches itself anew
// and takes over what is different.
import { morph } from "./morph.js";
import { tick } from "./clocks.js";
import { filterAgain } from "./forms.js";

// Events that come in a burst cause one fetch.
const SETTLE_MS = 150;
let timer = null;
let running = false;
let again = false;

export function refreshSoon(ms = SETTLE_MS) {
  clearTimeout(timer);
  timer = setTimeout(refresh, ms);
}

async function refresh() {
  if (running) {
    again = true;
    return;
  }
  running = true;
  try {
    const headers = { "x-chiasm-by-itself": "1" };
    const response = await fetch(location.href, { headers, cache: "no-store" });
    if (response.redirected || response.status === 401) {
      location.reload();
      return;
    }
    if (response.ok) takeOver(await response.text());
  } catch {
    // The stream tells when the server is back, and the page is then fetched.
  } finally {
    running = false;
    if (again) {
      again = false;
      refreshSoon();
    }
  }
}

function takeOver(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const main = document.getElementById("main");
  const wanted = fresh.getElementById("main");
  if (!wanted) return;
  const before = new Set([...main.querySelectorAll("[data-arrival]")].map((it) => it.id));
  morph(main, wanted);
  const [bell, ringing] = [document.getElementById("bell"), fresh.getElementById("bell")];
  if (bell && ringing) morph(bell, ringing);
  document.title = fresh.title;
  document.body.dataset.csrf = fresh.body.dataset.csrf ?? "";
  tick();
  filterAgain();
  const arrived = [...main.querySelectorAll("[data-arrival]")].filter((it) => !before.has(it.id));
  for (const element of arrived) element.classList.add("arrived");
  if (arrived.length > 0) {
    const words = arrived.map((it) => it.dataset.arrival).join(". ");
    document.getElementById("announce").textContent = words;
  }
}

function showOffline(isOffline) {
  document.getElementById("offline").hidden = !isOffline;
  document.body.classList.toggle("is-offline", isOffline);
}

export function follow() {
  const filter = document.body.dataset.live;
  if (!filter || filter === "none") return;
  const source = new EventSource(`/live?${filter}`);
  let wasCut = false;
  let offlineTimer = null;
  source.addEventListener("open", () => {
    clearTimeout(offlineTimer);
    offlineTimer = null;
    showOffline(false);
    document.body.dataset.stream = "open";
    if (wasCut) refreshSoon();
    wasCut = false;
  });
  source.addEventListener("change", () => refreshSoon());
  source.addEventListener("reload", () => refreshSoon());
  source.addEventListener("error", () => {
    wasCut = true;
    document.body.dataset.stream = "cut";
    offlineTimer ??= setTimeout(() => showOffline(true), 2500);
    if (source.readyState === EventSource.CLOSED) {
      // Refused, not cut: the sign-in may be over.
      setTimeout(() => location.reload(), 10000);
    }
  });
}
