// Signs a screen out that nobody uses: warns a minute before, and then hides what it shows. The
// server ends the sign-in by itself as well; this is so that nothing stays readable.

const WARN_MS = 60 * 1000;
// The server writes use down about once a minute; more often would tell it nothing.
const TELL_EVERY_MS = 60 * 1000;
const SHARED = "chiasm-used-at";

export function watchIdle() {
  const limit = Number(document.body.dataset.idleMs);
  const dialog = document.getElementById("idle");
  if (!limit || !dialog) return;
  const left = document.getElementById("idle-left");
  let used = Date.now();
  let told = used;
  let isOver = false;

  // Screens of one browser share a sign-in: who uses one of them uses all.
  const share = () => {
    try { localStorage.setItem(SHARED, String(used)); } catch { /* private windows may refuse */ }
  };
  const lastUse = () => {
    let elsewhere = 0;
    try { elsewhere = Number(localStorage.getItem(SHARED)) || 0; } catch { /* as above */ }
    return Math.max(used, Math.min(elsewhere, Date.now()));
  };

  async function tell() {
    told = Date.now();
    try {
      const response = await fetch("/api/v1/me", { cache: "no-store" });
      if (response.status === 401) leave();
    } catch {
      // Without the server nothing is lost: it decides when it is back.
    }
  }

  function use() {
    if (isOver || dialog.open) return;
    used = Date.now();
    share();
    if (used - told >= TELL_EVERY_MS) tell();
  }

  function stay() {
    if (isOver) return;
    dialog.close();
    used = Date.now();
    share();
    tell();
  }

  function leave() {
    if (isOver) return;
    isOver = true;
    const here = location.pathname + location.search;
    document.getElementById("main").replaceChildren();
    document.title = "Signed out · Chiasm";
    if (dialog.open) dialog.close();
    const go = () => location.replace(`/sign-in?then=${encodeURIComponent(here)}`);
    const body = new URLSearchParams({ csrf: document.body.dataset.csrf });
    fetch("/sign-out", { method: "POST", body, redirect: "manual" }).then(go, go);
  }

  function look() {
    if (isOver) return;
    const rest = lastUse() + limit - Date.now();
    if (rest <= 0) return leave();
    if (rest > WARN_MS) {
      if (dialog.open) dialog.close();
      return;
    }
    left.textContent = String(Math.ceil(rest / 1000));
    if (!dialog.open) dialog.showModal();
  }

  share();
  for (const kind of ["pointerdown", "keydown", "wheel", "touchstart"]) {
    document.addEventListener(kind, use, { passive: true });
  }
  document.getElementById("idle-stay").addEventListener("click", stay);
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    stay();
  });
  // A computer that slept tells so at once.
  document.addEventListener("visibilitychange", look);
  setInterval(look, 1000);
}
