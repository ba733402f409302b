// What of an answer is to be seen, given threshold and hidden classes. Pure: no drawing, no page.

/** Whether the package decides two classes by one threshold. */
export function isTwoClass(model) {
  return model.task === "segmentation" && "threshold" in model.options;
}

/** Whether class 0 is what is not found. */
export function hasBackground(model) {
  return model.task === "segmentation";
}

/** The range of the threshold slider for an answer, or null where it has none. */
export function thresholdRange(answer) {
  const bounds = answer.model.options.threshold;
  if (!bounds || (answer.model.task === "segmentation" && !answer.scoreMap)) return null;
  const isBoxes = answer.model.task === "detection";
  return { least: isBoxes ? bounds.minimum : 0.01, most: 0.99, start: bounds.default };
}

/**
 * Class ids as drawn: the service's mask, or, at another threshold, the score map cut there.
 *
 * @param {number|null} threshold null is the package's own, whose mask was cleaned up by the service
 * @returns {{width: number, height: number, values: Uint8Array}|null}
 */
export function shownMask(answer, threshold) {
  if (threshold === null || !answer.scoreMap) return answer.mask;
  const { width, height, values } = answer.scoreMap;
  const least = Math.ceil(threshold * 255 - 1e-9);
  return { width, height, values: values.map((value) => (value >= least ? 1 : 0)) };
}

/** Pixels of each class that occurs. */
export function countClasses(mask, numClasses) {
  const counts = new Array(numClasses).fill(0);
  for (const value of mask.values) counts[value]++;
  return counts;
}

/** Objects at or above the threshold whose class is not hidden, each with its place in the row. */
export function shownObjects(answer, threshold, hidden) {
  const least = threshold ?? 0;
  return answer.row.objects
    .map((object, index) => ({ ...object, index }))
    .filter((object) => object.score >= least && !hidden.has(object.class_id));
}

/** Labels of a multi-label answer: the row's own, or those at or above the threshold. */
export function shownLabels(answer, threshold) {
  if (threshold === null) return new Set(answer.row.class_ids);
  return new Set(answer.labelScores.filter(({ score }) => score >= threshold).map(({ class_id }) => class_id));
}

/** Ids of the classes that the legend names: those that an answer shows. */
export function legendClasses(answer) {
  const { row, model } = answer;
  if (model.task === "detection") return [...new Set(row.objects.map(({ class_id }) => class_id))].sort((a, b) => a - b);
  if (isTwoClass(model)) return [1];
  return model.task === "segmentation" ? row.classes.map(({ class_id }) => class_id).filter((id) => id > 0) : [];
}
