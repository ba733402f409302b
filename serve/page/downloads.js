// Files of an answer: its JSON, its mask, the picture with what is drawn over it.

import { byId, element } from "./dom.js";
import { shownMask } from "./shown.js";

/** @param {{threshold: number|null}} look as drawn */
export function showDownloads(item, look) {
  const { answer } = item;
  const stem = item.name.replace(/\.[^.]+$/, "") || "image";
  const buttons = [];
  if (answer.mask) {
    const ending = look.threshold === null ? "mask" : `mask-at-${look.threshold.toFixed(2)}`;
    buttons.push(saveButton("Mask (PNG)", `${stem}.${ending}.png`, () => maskFile(answer, look.threshold)));
  }
  if (answer.unsureFile) {
    buttons.push(saveButton("Uncertainty (PNG)", `${stem}.uncertainty.png`, async () => answer.unsureFile));
  }
  if (["segmentation", "detection"].includes(answer.model.task)) {
    buttons.push(saveButton("Overlay (PNG)", `${stem}.overlay.png`, () => canvasFile(byId("overlay"))));
  }
  buttons.push(saveButton("JSON", `${stem}.json`, async () => jsonFile(answer.json)));
  byId("downloads").replaceChildren(element("h3", { class: "unseen", text: "Downloads" }), ...buttons);
}

function saveButton(title, name, makeFile) {
  return element("button", { type: "button", class: "plain small", text: title, "data-file": name, on: { click: async () => save(await makeFile(), name) } });
}

function save(file, name) {
  const link = element("a", { href: URL.createObjectURL(file), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The service's own file where nothing was moved: its pixel values are the class ids. Else black and white. */
async function maskFile(answer, threshold) {
  if (threshold === null) return answer.maskFile;
  const { width, height, values } = shownMask(answer, threshold);
  const pixels = new ImageData(width, height);
  values.forEach((value, at) => pixels.data.set([value * 255, value * 255, value * 255, 255], at * 4));
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/** Through a copy: a canvas that is on the page may wait for seconds until the browser thinks itself idle. */
function canvasFile(shown) {
  const copy = new OffscreenCanvas(shown.width, shown.height);
  copy.getContext("2d").drawImage(shown, 0, 0);
  return copy.convertToBlob({ type: "image/png" });
}

function jsonFile(json) {
  return new Blob([JSON.stringify(json, null, 2)], { type: "application/json" });
}
