// One picture, as large as the screen allows, with its description; the others of its message a key or a swipe away.

import { el, icon } from "./dom.js";
import { openLayer } from "./layers.js";

const SWIPE_PX = 45;

export function openLightbox(pictures, startUrl) {
  const start = pictures.findIndex((picture) => picture.url.split("?")[0] === startUrl.split("?")[0]);
  let at = Math.max(0, start);
  const image = el("img", { class: "lightbox-image", data: { testid: "lightbox-image" }, draggable: "false" });
  const caption = el("figcaption", { class: "lightbox-alt", data: { testid: "lightbox-alt" } });
  const counter = el("span", { class: "lightbox-count", "aria-live": "polite" });
  const original = el("a", { class: "lightbox-original", target: "_blank", rel: "noopener", data: { testid: "lightbox-original" } }, icon("external"), "Open original");
  const closer = el("button", { class: "icon-button", type: "button", "aria-label": "Close", data: { testid: "lightbox-close" } }, icon("close"));
  const step = (by) => {
    at = (at + by + pictures.length) % pictures.length;
    show();
  };
  const arrow = (name, by, label) => el("button", { class: `lightbox-step ${name}`, type: "button", "aria-label": label, data: { testid: by > 0 ? "lightbox-next" : "lightbox-previous" }, on: { click: () => step(by) } }, icon(name));
  const several = pictures.length > 1;
  const node = el(
    "div",
    { class: "lightbox", role: "dialog", "aria-modal": "true", "aria-label": "Picture", data: { testid: "lightbox" }, tabindex: -1 },
    el("div", { class: "lightbox-bar" }, counter, original, closer),
    el("figure", { class: "lightbox-figure" }, several ? arrow("left", -1, "Previous picture") : null, image, several ? arrow("right", 1, "Next picture") : null),
    caption,
  );
  function show() {
    const picture = pictures[at];
    image.src = picture.url;
    image.alt = picture.alt;
    original.href = picture.url;
    caption.textContent = picture.alt || picture.name;
    caption.classList.toggle("muted", !picture.alt);
    counter.textContent = several ? `${at + 1} of ${pictures.length}` : "";
  }
  show();
  node.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft" && several) step(-1);
    else if (event.key === "ArrowRight" && several) step(1);
    else return;
    event.preventDefault();
  });
  const close = openLayer(node, { className: "layer-lightbox", focus: closer });
  closer.addEventListener("click", close);
  let from = null;
  node.addEventListener("pointerdown", (event) => (from = { x: event.clientX, y: event.clientY }));
  node.addEventListener("pointerup", (event) => {
    if (!from) return;
    const across = event.clientX - from.x;
    const down = event.clientY - from.y;
    from = null;
    if (several && Math.abs(across) > SWIPE_PX && Math.abs(across) > Math.abs(down)) step(across < 0 ? 1 : -1);
    else if (down > SWIPE_PX * 2 && Math.abs(across) < SWIPE_PX) close();
    else if (Math.abs(across) + Math.abs(down) < 6 && event.target.matches(".lightbox, .lightbox-figure")) close();
  });
  node.addEventListener("pointercancel", () => (from = null));
}
