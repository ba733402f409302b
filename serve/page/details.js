// The cards beside the picture: the answer as a table, times by stage, what gave the answer.

import { byId, element, factList } from "./dom.js";
import { foregroundFrac, headline } from "./headline.js";
import { counted, ms, percent, score } from "./numbers.js";
import { classColour, cssColour } from "./palette.js";
import { hasBackground, isTwoClass, shownLabels, shownObjects } from "./shown.js";
import { worthParts } from "./worth.js";

const STAGE_COLOURS = { fetch_ms: 5, prepare_ms: 1, queue_ms: 5, infer_ms: 2, finish_ms: 3, rest: 4 };
const MOST_LABELS = 12;

/** @param {{threshold: number|null, hidden: Set<number>}} look what slider and legend say */
export function showAnswer(answer, look, mark) {
  byId("answer").replaceChildren(
    element("p", { class: "headline", id: "headline", text: title(answer, look.threshold) }),
    ...worthParts(answer, look.threshold),
    ...CARDS[answer.model.task](answer, look, mark),
  );
}

/** The headline; long class names and their score are easier to read apart. */
function title(answer, threshold) {
  return answer.model.task === "classification" ? answer.row.label : headline(answer, threshold);
}

const CARDS = {
  classification: ({ row }) => [
    element("p", { text: `Score ${score(row.score)}, doubt ${percent(row.entropy)} (entropy over its largest value)` }),
    table("Best classes", ["Class", "", "Score"], row.top_k.map((entry) => scoreRow(entry.label, entry.score))),
  ],
  multilabel: (answer, { threshold }) => {
    const shown = shownLabels(answer, threshold);
    const { labelScores, model } = answer;
    const rows = labelScores
      .slice(0, Math.max(MOST_LABELS, shown.size))
      .map((entry) => scoreRow(entry.label, entry.score, { isBelow: !shown.has(entry.class_id) }));
    const caption = `${counted(shown.size, "label")} of ${counted(model.classes.length, "class", "classes")}, best first`;
    return [element("div", { class: "scroll" }, table(caption, ["Class", "", "Score"], rows))];
  },
  detection: (answer, { threshold, hidden }, mark) => {
    const objects = shownObjects(answer, threshold, hidden);
    if (objects.length === 0) return [element("p", { text: "Nothing at or above the threshold." })];
    return [element("div", { class: "scroll" }, table("Objects, best first; boxes in pixels", ["Class", "Score", "Box"], objects.map((object) => objectRow(object, mark))))];
  },
  segmentation: (answer, { threshold }) => [
    table("Share of the image", ["Class", "Share", "Pixels", "Score"], segmentationRows(answer, threshold)),
  ],
  embedding: ({ row }) => [
    element("p", { text: "The features of the image; the JSON has them all." }),
    spark(row.embedding),
  ],
};

function table(caption, titles, rows) {
  const head = titles.map((title, at) => element("th", { scope: "col", class: at > 0 ? "number" : null, text: title }));
  return element(
    "table",
    {},
    element("caption", { text: caption }),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows),
  );
}

function scoreRow(label, value, { isBelow = false } = {}) {
  const bar = element("span", { style: { width: `${value * 100}%` } });
  return element(
    "tr",
    { class: isBelow ? "is-below" : null },
    element("th", { scope: "row", text: label }),
    element("td", {}, element("div", { class: "meter", "aria-hidden": "true" }, bar)),
    element("td", { class: "number", text: score(value) }),
  );
}

function objectRow(object, mark) {
  const box = [object.x_min, object.y_min, object.x_max, object.y_max].map((value) => Math.round(value)).join(", ");
  return element(
    "tr",
    { on: { pointerenter: () => mark(object.index), pointerleave: () => mark(null) } },
    element("th", { scope: "row" }, named(object.label, classColour(object.class_id, { hasBackground: false }))),
    element("td", { class: "number", text: score(object.score) }),
    element("td", { class: "number mono", text: box }),
  );
}

function segmentationRows(answer, threshold) {
  const { row, model, imageHw } = answer;
  const total = imageHw[0] * imageHw[1];
  let classes = row.classes;
  if (threshold !== null && isTwoClass(model)) {
    const front = foregroundFrac(answer, threshold);
    classes = [1 - front, front].map((frac, id) => ({ class_id: id, label: model.classes[id], frac, pixels: Math.round(frac * total), score: null }));
  }
  return classes.map((entry) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, named(entry.label, classColour(entry.class_id, { hasBackground: hasBackground(model) }))),
      element("td", { class: "number", text: percent(entry.frac) }),
      element("td", { class: "number", text: entry.pixels.toLocaleString("en") }),
      element("td", { class: "number", text: entry.score === null ? "–" : score(entry.score) }),
    ),
  );
}

function named(label, colour) {
  const style = colour ? { background: cssColour(colour), "border-color": cssColour(colour) } : {};
  const swatch = element("span", { class: colour ? "swatch" : "swatch is-clear", "aria-hidden": "true", style });
  return element("span", { class: "with-swatch" }, swatch, label);
}

function spark(values) {
  const canvas = element("canvas", { class: "spark", width: 640, height: 128, role: "img", "aria-label": `The ${values.length} numbers as bars` });
  const context = canvas.getContext("2d");
  const most = Math.max(...values.map(Math.abs), 1e-9);
  context.fillStyle = getComputedStyle(byId("answer")).color;
  const width = canvas.width / values.length;
  values.forEach((value, at) => {
    const height = (value / most) * 60;
    context.fillRect(at * width, 64 - Math.max(height, 0), Math.max(width * 0.8, 0.5), Math.abs(height));
  });
  return canvas;
}

export function showTimings(answer) {
  const total = answer.stages.reduce((sum, stage) => sum + stage.ms, 0);
  const colour = ({ key }) => `var(--stage-${STAGE_COLOURS[key]})`;
  const parts = answer.stages.map((stage) => element("span", { style: { width: `${(stage.ms / total) * 100}%`, background: colour(stage) } }));
  const rows = answer.stages.map((stage) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, element("span", { class: "with-swatch" }, element("span", { class: "swatch", "aria-hidden": "true", style: { background: colour(stage), "border-color": colour(stage) } }), stage.title)),
      element("td", { class: "number", text: ms(stage.ms) }),
    ),
  );
  byId("timings").replaceChildren(
    element("h2", { text: `Answered in ${ms(answer.roundTripMs)}` }),
    element("div", { class: "stacked", "aria-hidden": "true" }, ...parts),
    table(cacheNote(answer), ["Stage", "Time"], rows),
  );
}

function cacheNote({ json }) {
  if (json.was_cached) return "Equal bytes had this answer already; the stages are those of the first time.";
  return json.batch_size > 1 ? `One of ${json.batch_size} images in the same forward` : "Time of this image in each stage";
}

export function showFacts(answer) {
  const { json, row, model } = answer;
  byId("facts").replaceChildren(
    element("h2", { text: "Where it comes from" }),
    factList([
      ["Model", model.name],
      ["Engine", model.engine],
      ["Digest", json.model_digest.slice(0, 12), true],
      ["Image SHA-256", row.sha256.slice(0, 12), true],
      ["Decoder", row.decoder],
      ["EXIF orientation", row.orientation > 1 ? row.orientation : ""],
      ["Page", row.num_pages > 1 ? `${row.page + 1} of ${row.num_pages}` : ""],
    ]),
  );
}
