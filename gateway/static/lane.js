// Keeps the page as it is at the gateway, by asking again. Nothing is replaced under a person's hands.

const EVERY_MS = 2000;
const main = document.querySelector("main");

function find() {
  const field = document.getElementById("find");
  if (!field) return;
  const wanted = field.value.trim().toLowerCase();
  for (const visit of document.querySelectorAll("[data-find]"))
    visit.hidden = !visit.dataset.find.toLowerCase().includes(wanted);
}

/** The field keeps what is typed into it, and its place. */
function replace(fresh) {
  const field = document.getElementById("find");
  const typed = field ? { text: field.value, has: document.activeElement === field } : null;
  const open = document.querySelector("details.switch")?.open;
  main.innerHTML = fresh.innerHTML;
  const again = document.getElementById("find");
  if (typed && again) {
    again.value = typed.text;
    if (typed.has) again.focus();
  }
  if (open) document.querySelector("details.switch")?.setAttribute("open", "");
  find();
}

let last = null;
async function ask() {
  try {
    const answer = await fetch(location.href, { headers: { "x-poll": "1" }, redirect: "manual" });
    if (answer.type === "opaqueredirect") return location.assign("/sign-in");
    if (!answer.ok) return;
    const text = await answer.text();
    const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("main");
    const focused = document.activeElement;
    const isBusy = main.contains(focused) && focused.matches("button, summary");
    if (fresh && fresh.innerHTML !== last && !isBusy) {
      last = fresh.innerHTML;
      replace(fresh);
    }
  } catch {
    // The gateway restarts, or the cable is out: asked again.
  }
}

document.addEventListener("input", (event) => {
  if (event.target.id === "find") find();
});
// A scanner ends with Enter: the only visit that is left is the one.
document.addEventListener("keydown", (event) => {
  if (event.target.id !== "find" || event.key !== "Enter") return;
  event.preventDefault();
  const left = [...document.querySelectorAll("[data-find]")].filter((visit) => !visit.hidden);
  if (left.length === 1) left[0].querySelector("button")?.focus();
});
if (main.hasAttribute("data-live") && location.pathname !== "/sign-in") setInterval(ask, EVERY_MS);
