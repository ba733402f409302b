// One JSON answer as what the page shows: the row, the pictures in it as numbers, and the times.

import { decodePngValues } from "./png.js";
import { decodeRuns } from "./run_length.js";

const STAGES = [
  ["fetch_ms", "Fetch"],
  ["prepare_ms", "Decode and fit"],
  ["queue_ms", "Wait for the model"],
  ["infer_ms", "Model"],
  ["finish_ms", "Finish"],
];

/**
 * @param {object} json as the service gave it
 * @param {object} model that it came from
 * @param {number} roundTripMs measured here, from the request to the whole answer
 */
export async function readAnswer(json, model, roundTripMs) {
  const row = json.prediction;
  const maskFile = json.mask ? fromBase64(json.mask.data) : null;
  return {
    json,
    model,
    row,
    imageHw: [row.height, row.width],
    maskFile: maskFile && new Blob([maskFile], { type: "image/png" }),
    mask: maskFile && (await decodePngValues(maskFile)),
    scoreMap: await readPlane(json.probabilities?.score_map),
    unsureFile: json.uncertainty ? new Blob([fromBase64(json.uncertainty.data)], { type: "image/png" }) : null,
    unsure: await readPlane(json.uncertainty),
    labelScores: readLabelScores(json, model),
    objectMasks: (row.objects ?? []).map((object) => (object.mask ? decodeRuns(object.mask) : null)),
    stages: readStages(json, roundTripMs),
    roundTripMs,
  };
}

async function readPlane(encoded) {
  return encoded?.media_type === "image/png" ? decodePngValues(fromBase64(encoded.data)) : null;
}

/** Scores of all classes of a multi-label answer, best first; of the best alone where the service gave no more. */
function readLabelScores({ prediction, probabilities }, model) {
  if (model.task !== "multilabel") return [];
  if (!probabilities?.class_ids) return prediction.top_k;
  return probabilities.class_ids
    .map((class_id, at) => ({ class_id, label: model.classes[class_id], score: probabilities.probabilities[at] }))
    .sort((a, b) => b.score - a.score);
}

/** What the service tells of a cached answer is the work of the first time, so it says nothing of this trip. */
function readStages({ timings, was_cached: wasCached }, roundTripMs) {
  const stages = STAGES.map(([key, title]) => ({ key, title, ms: timings[key] })).filter(({ key, ms }) => key !== "fetch_ms" || ms > 0);
  const known = stages.reduce((sum, stage) => sum + stage.ms, 0);
  const rest = { key: "rest", title: "Transfer and the rest", ms: Math.max(0, roundTripMs - (wasCached ? 0 : known)) };
  return [...stages, rest];
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
