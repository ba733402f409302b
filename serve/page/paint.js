// Pixels on a canvas: the picture, class regions with their outlines, boxes with their names.

import { classColour, cssColour, readableOn } from "./palette.js";

const LEAST_SIDE = 900;
const MOST_SIDE = 1800;

/** Gives a canvas the shape of an image, large enough for crisp lines and small enough to be drawn at once. */
export function fitCanvas(canvas, [height, width]) {
  const side = Math.max(height, width);
  const scale = Math.min(Math.max(side, LEAST_SIDE), MOST_SIDE) / side;
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  return scale;
}

/** The picture over the whole canvas; nothing where the browser cannot read it. */
export function paintPicture(canvas, picture, scale) {
  if (!picture) return;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = scale < 4; // a picture of a few pixels is shown as such
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
}

/**
 * Coloured regions over what is on the canvas: inside at `opacity`, outlines in full.
 *
 * @param {{width: number, height: number, values: Uint8Array}} mask class ids; 0 is left clear
 * @param {Set<number>} hidden classes that are not drawn
 */
export function paintMask(canvas, mask, { opacity, hidden }) {
  const step = Math.max(1, Math.ceil(Math.max(mask.width, mask.height) / MOST_SIDE));
  const [width, height] = [Math.ceil(mask.width / step), Math.ceil(mask.height / step)];
  const ids = step === 1 ? mask.values : everyNth(mask, step, width, height);
  const pixels = new ImageData(width, height);
  fillRegions(new Uint32Array(pixels.data.buffer), ids, width, height, { opacity, hidden });
  const layer = new OffscreenCanvas(width, height);
  layer.getContext("2d").putImageData(pixels, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = canvas.width < width;
  context.drawImage(layer, 0, 0, canvas.width, canvas.height);
}

/**
 * How uncertain each pixel is, over what is on the canvas: clear where it is not at all, yellow, then red.
 *
 * @param {{width: number, height: number, values: Uint8Array}} plane uncertainties times 255
 * @param {number} most what is drawn in red
 */
export function paintUncertainty(canvas, plane, { opacity, most }) {
  const step = Math.max(1, Math.ceil(Math.max(plane.width, plane.height) / MOST_SIDE));
  const [width, height] = [Math.ceil(plane.width / step), Math.ceil(plane.height / step)];
  const values = step === 1 ? plane.values : everyNth(plane, step, width, height);
  const colours = Uint32Array.from({ length: 256 }, (_, value) => unsureColour(Math.min(1, value / most), opacity));
  const pixels = new ImageData(width, height);
  new Uint32Array(pixels.data.buffer).set(Uint32Array.from(values, (value) => colours[value]));
  const layer = new OffscreenCanvas(width, height);
  layer.getContext("2d").putImageData(pixels, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = canvas.width < width;
  context.drawImage(layer, 0, 0, canvas.width, canvas.height);
}

/** Even a little is seen: the square root is what grows. */
function unsureColour(share, opacity) {
  const strength = Math.sqrt(share);
  const colour = [Math.round(255 - 45 * strength), Math.round(220 * (1 - strength)), Math.round(60 * (1 - strength))];
  return packed(colour, Math.round(255 * Math.min(1, 2 * opacity) * strength));
}

function everyNth(mask, step, width, height) {
  const ids = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) ids[y * width + x] = mask.values[y * step * mask.width + x * step];
  }
  return ids;
}

function fillRegions(pixels, ids, width, height, { opacity, hidden }) {
  const inside = new Uint32Array(256);
  const outline = new Uint32Array(256);
  for (let id = 1; id < 256; id++) {
    if (hidden.has(id)) continue;
    const colour = classColour(id, { hasBackground: true });
    inside[id] = packed(colour, Math.round(opacity * 255));
    outline[id] = packed(colour, opacity > 0 ? 255 : 0);
  }
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const id = ids[at];
      if (id === 0) continue;
      const isEdge =
        (x > 0 && ids[at - 1] !== id) ||
        (x < width - 1 && ids[at + 1] !== id) ||
        (y > 0 && ids[at - width] !== id) ||
        (y < height - 1 && ids[at + width] !== id);
      pixels[at] = isEdge ? outline[id] : inside[id];
    }
  }
}

/** Little-endian RGBA, the layout of ImageData on every machine that runs a browser. */
function packed([red, green, blue], alpha) {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/**
 * Boxes with class names and scores. Names that would cover those of better boxes are left to the table.
 *
 * @param {object[]} objects as rows hold them, best first
 * @param {number} scale canvas pixels per image pixel
 * @param {number} unit canvas pixels per pixel of the screen, so that lines look the same on all sizes
 * @param {number|null} marked place in the row of the object to be brought out
 */
export function paintBoxes(canvas, objects, { scale, unit, opacity, marked }) {
  const context = canvas.getContext("2d");
  const isMarked = ({ index }) => index === marked;
  for (const object of [...objects].reverse()) {
    const colour = classColour(object.class_id, { hasBackground: false });
    const [x, y] = [object.x_min * scale, object.y_min * scale];
    const [width, height] = [object.x_max * scale - x, object.y_max * scale - y];
    context.fillStyle = cssColour(colour, opacity * (isMarked(object) ? 0.6 : 0.3));
    context.fillRect(x, y, width, height);
    context.lineWidth = (isMarked(object) ? 4 : 2) * unit;
    context.strokeStyle = cssColour(colour);
    context.strokeRect(x, y, width, height);
  }
  const taken = [];
  for (const object of opacity > 0 ? [...objects].sort((a, b) => isMarked(b) - isMarked(a)) : []) {
    const place = placeName(context, object, { scale, unit, taken });
    if (!place) continue;
    taken.push(place);
    paintName(context, place, { unit, colour: classColour(object.class_id, { hasBackground: false }) });
  }
}

/** Above the box, or within it at the top or the bottom; null where other names are everywhere. */
function placeName(context, object, { scale, unit, taken }) {
  const size = 12 * unit;
  context.font = `600 ${size}px system-ui, sans-serif`;
  const text = `${object.label} ${object.score.toFixed(2)}`;
  const [width, height] = [context.measureText(text).width + 10 * unit, size * 1.5];
  const left = Math.max(0, Math.min(object.x_min * scale - unit, context.canvas.width - width));
  const tops = [object.y_min * scale - height, object.y_min * scale, object.y_max * scale - height];
  const isFree = (top) =>
    top >= 0 &&
    taken.every((other) => left >= other.left + other.width || other.left >= left + width || top >= other.top + other.height || other.top >= top + height);
  const top = tops.find(isFree);
  return top === undefined ? null : { text, left, top, width, height };
}

function paintName(context, { text, left, top, width, height }, { unit, colour }) {
  context.fillStyle = cssColour(colour);
  context.fillRect(left, top, width, height);
  context.fillStyle = readableOn(colour);
  context.textBaseline = "middle";
  context.fillText(text, left + 5 * unit, top + height / 2 + unit * 0.5);
}

/** Pixels of single objects, in the colours of their classes. */
export function paintObjectMasks(canvas, objects, masks, { imageHw, opacity }) {
  const [height, width] = imageHw;
  const values = new Uint8Array(width * height);
  for (const object of [...objects].reverse()) {
    const runs = masks[object.index];
    if (runs) for (let at = 0; at < runs.length; at++) if (runs[at]) values[at] = object.class_id + 1;
  }
  paintMask(canvas, { width, height, values }, { opacity, hidden: new Set() });
}
