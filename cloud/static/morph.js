// Changes a tree of elements into another one in place, so that focus, open details and what is
// being typed stay. Children with an id are matched by it, others by their place.

function sameKind(a, b) {
  if (a.nodeType !== b.nodeType) return false;
  if (a.nodeType !== Node.ELEMENT_NODE) return true;
  return a.tagName === b.tagName && a.id === b.id;
}

function morphAttributes(from, to) {
  const keepsOpen = from.tagName === "DETAILS";
  for (const { name } of [...from.attributes]) {
    if (keepsOpen && name === "open") continue;
    if (from.dataset.keep?.split(" ").includes(name)) continue;
    if (!to.hasAttribute(name)) from.removeAttribute(name);
  }
  for (const { name, value } of [...to.attributes]) {
    if (keepsOpen && name === "open") continue;
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

export function morph(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  morphAttributes(from, to);
  // A running clock or a field in use is not overwritten with what the server wrote a moment ago.
  if (from.dataset.since !== undefined || from.dataset.ends !== undefined) return;
  if (from === document.activeElement && from.matches("input, select, textarea")) return;
  const byId = new Map([...from.children].filter((it) => it.id).map((it) => [it.id, it]));
  let place = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    let match = null;
    if (wanted.id && byId.has(wanted.id)) {
      match = byId.get(wanted.id);
    } else if (place && sameKind(place, wanted)) {
      match = place;
    }
    if (!match) {
      from.insertBefore(document.importNode(wanted, true), place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else from.insertBefore(match, place);
    morph(match, wanted);
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}
