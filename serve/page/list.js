// The images as a list box: thumbnail, name, what became of each.

import { byId, element, roveWithArrows } from "./dom.js";
import { headline } from "./headline.js";
import { verdictWord } from "./worth.js";

const WORDS = { waiting: "waiting", running: "being predicted …", done: "done", failed: "not usable" };

export function setUpList(items) {
  const list = byId("list");
  const itemOf = (node) => items.all.find(({ id }) => String(id) === node.dataset.id);
  list.addEventListener("click", (event) => {
    const node = event.target.closest(".item");
    if (node) items.select(itemOf(node));
  });
  roveWithArrows(list, ".item", (node) => items.select(itemOf(node)));
  list.addEventListener("keydown", (event) => {
    if (!["Delete", "Backspace"].includes(event.key) || !items.selected) return;
    event.preventDefault();
    items.remove(items.selected);
    (list.querySelector('[aria-selected="true"]') ?? byId("drop")).focus();
  });
  byId("clear").addEventListener("click", () => {
    items.clear();
    byId("drop").focus();
  });
}

/** Brings the list in line with the items; nodes are kept, so that focus and scroll position stay. */
export function showList(items) {
  const list = byId("list");
  const isEmpty = items.all.length === 0;
  for (const id of ["list", "list-head"]) byId(id).hidden = isEmpty;
  byId("list-hint").hidden = items.all.length < 2;
  byId("list-title").textContent = items.all.length > 1 ? `Images (${items.all.length})` : "Images";
  const nodes = new Map([...list.children].map((node) => [node.dataset.id, node]));
  for (const [id, node] of nodes) if (!items.all.some((item) => String(item.id) === id)) node.remove();
  items.all.forEach((item, at) => {
    const node = nodes.get(String(item.id)) ?? makeNode(item);
    if (list.children[at] !== node) list.insertBefore(node, list.children[at] ?? null);
    updateNode(node, item, item === items.selected);
  });
}

function makeNode(item) {
  return element(
    "li",
    { class: "item", role: "option", "data-id": item.id },
    element("span", { class: "thumb", "aria-hidden": "true", text: ending(item.name) }),
    element(
      "span",
      { class: "item-text" },
      element("span", { class: "item-name", text: item.name, title: item.name }),
      element("span", { class: "item-state" }, element("span", { class: "dot", "aria-hidden": "true" }), element("span")),
    ),
  );
}

function updateNode(node, item, isSelected) {
  node.dataset.state = item.state;
  node.setAttribute("aria-selected", String(isSelected));
  node.tabIndex = isSelected ? 0 : -1;
  node.querySelector(".item-state span:last-child").textContent = stateText(item);
  const thumb = node.querySelector(".thumb");
  if (item.picture && thumb.tagName !== "CANVAS") thumb.replaceWith(thumbnail(item.picture));
}

/** What is said of an image in a few words. */
export function stateText(item) {
  if (item.note) return item.note;
  if (item.state === "done") return headline(item.answer, null) + verdictWord(item.answer);
  return item.state === "failed" ? item.error.title.toLowerCase() : WORDS[item.state];
}

function thumbnail(picture) {
  const side = 96;
  const canvas = element("canvas", { class: "thumb", width: side, height: side, "aria-hidden": "true" });
  const scale = side / Math.min(picture.width, picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (side - width) / 2, (side - height) / 2, width, height);
  return canvas;
}

function ending(name) {
  const found = /\.([a-z0-9]{1,4})$/i.exec(name);
  return found ? found[1] : "img";
}
