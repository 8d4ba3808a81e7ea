// Clocks that run: how long something waits, how long a session is open, when it ends.

const offset = Number(document.body.dataset.now) - Date.now();

function text(ms) {
  const all = Math.max(0, Math.floor(ms / 1000));
  const pad = (number) => String(number).padStart(2, "0");
  const [days, hours] = [Math.floor(all / 86400), Math.floor((all % 86400) / 3600)];
  const rest = `${pad(Math.floor((all % 3600) / 60))}:${pad(all % 60)}`;
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

export function tick() {
  const now = Date.now() + offset;
  for (const clock of document.querySelectorAll("[data-since]")) {
    clock.textContent = text(now - Number(clock.dataset.since));
  }
  for (const end of document.querySelectorAll("[data-ends]")) {
    const left = Number(end.dataset.ends) - now;
    end.hidden = now < Number(end.dataset.warns);
    end.textContent = left > 0 ? ` · ends in ${text(left)} without a reading` : " · ends now";
  }
}

export function startClocks() {
  tick();
  setInterval(tick, 1000);
}
