// What the service says that an answer is worth: the verdict with its reasons, the conformal set, the uncertainties.

import { element, factList } from "./dom.js";
import { percent, score } from "./numbers.js";

const WORDS = { accept: "Accepted", review: "For review", reject: "Rejected" };

/** @param {number|null} threshold the slider's, which changes what is drawn and not what was answered */
export function worthParts(answer, threshold) {
  const { row } = answer;
  const facts = factsOf(answer);
  return [
    ...(row.verdict ? [verdictPart(row, threshold)] : []),
    ...(facts.some(([, text]) => text) ? [element("div", { id: "worth" }, factList(facts))] : []),
  ];
}

/** What the list and those who listen are told beside the headline. */
export function verdictWord({ row }) {
  return row.verdict && row.verdict !== "accept" ? `, ${WORDS[row.verdict].toLowerCase()}` : "";
}

function verdictPart(row, threshold) {
  const note = threshold === null ? "" : "Of the answer at the model's own threshold.";
  return element(
    "div",
    { class: `verdict is-${row.verdict}`, id: "verdict" },
    element("strong", { text: WORDS[row.verdict] }),
    ...(row.reasons.length > 0 ? [element("ul", {}, ...row.reasons.map((reason) => element("li", { text: reason })))] : []),
    ...(note ? [element("p", { class: "hint", text: note })] : []),
  );
}

function factsOf({ row, model }) {
  return [
    [setTitle(model), row.prediction_set ? setText(row.prediction_set, model) : ""],
    ["Uncertainty", row.uncertainty == null ? "" : `${percent(row.uncertainty)} on average`],
    ["Uncertain pixels", row.uncertain_frac == null ? "" : percent(row.uncertain_frac)],
    ["Forwards disagree", row.mutual_information == null ? "" : score(row.mutual_information)],
    ["Components", row.num_components == null ? "" : row.num_components.toLocaleString("en")],
    ["Priority of a review", row.priority == null ? "" : score(row.priority)],
  ];
}

function setTitle({ spec }) {
  return spec.conformal ? `Set of ${percent(spec.conformal.coverage)} coverage` : "";
}

function setText(ids, { classes }) {
  return ids.length > 0 ? ids.map((id) => classes[id]).join(", ") : "none of the classes";
}
