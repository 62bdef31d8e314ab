// Rows of tables and marks of figures that have one name light up together. Nothing needs this.
"use strict";
(() => {
  const named = new Map();
  for (const element of document.querySelectorAll("[data-mark]")) {
    const name = element.dataset.mark;
    if (!named.has(name)) named.set(name, []);
    named.get(name).push(element);
  }
  let held = null;
  const light = (name, on) => {
    for (const element of named.get(name) ?? []) element.classList.toggle("lit", on);
  };
  const nameOf = (event) => event.target.closest?.("[data-mark]")?.dataset.mark ?? null;
  document.addEventListener("pointerover", (event) => {
    const name = nameOf(event);
    if (name !== null) light(name, true);
  });
  document.addEventListener("pointerout", (event) => {
    const name = nameOf(event);
    if (name !== null && name !== held) light(name, false);
  });
  // A click holds the light, so that a mark can be followed to its row.
  document.addEventListener("click", (event) => {
    const name = nameOf(event);
    if (held !== null) light(held, false);
    held = name === held ? null : name;
    if (held !== null) light(held, true);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && held !== null) { light(held, false); held = null; }
  });
  // What leads into a closed part opens it.
  const open = () => {
    const place = document.getElementById(location.hash.slice(1));
    for (let part = place?.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    place?.scrollIntoView();
  };
  addEventListener("hashchange", open);
  if (location.hash) open();
})();
