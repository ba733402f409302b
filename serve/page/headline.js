// The answer in one line: for the list, for the card, and for those who listen.

import { counted, percent, score } from "./numbers.js";
import { countClasses, isTwoClass, shownLabels, shownMask } from "./shown.js";

/** @param {number|null} threshold the slider's; null is the package's own */
export function headline(answer, threshold) {
  return LINES[answer.model.task](answer, threshold);
}

const LINES = {
  classification: ({ row }) => `${row.label}, ${score(row.score)}`,
  multilabel: (answer, threshold) => {
    const shown = shownLabels(answer, threshold);
    const names = answer.labelScores.filter(({ class_id }) => shown.has(class_id)).map(({ label }) => label);
    return names.length > 0 ? names.join(", ") : "no label";
  },
  detection: ({ row }, threshold) => {
    const objects = row.objects.filter(({ score: found }) => found >= (threshold ?? 0));
    return objects.length > 0 ? counted(objects.length, "object") : "no object";
  },
  segmentation: (answer, threshold) => {
    const { row, model } = answer;
    if (isTwoClass(model)) return `${model.classes[1]} ${percent(foregroundFrac(answer, threshold))}`;
    const largest = [...row.classes].sort((a, b) => b.frac - a.frac)[0];
    return `${largest.label} ${percent(largest.frac)}, ${counted(row.classes.length, "class", "classes")}`;
  },
  embedding: ({ row }) => `${counted(row.embedding.length, "number")}, length ${row.norm.toPrecision(4)}`,
};

/** Share of the foreground of two classes at a threshold. */
export function foregroundFrac(answer, threshold) {
  if (threshold === null) return answer.row.foreground_frac;
  const mask = shownMask(answer, threshold);
  return countClasses(mask, 2)[1] / mask.values.length;
}
