// What went wrong with an image, in the service's words.

import { byId, element, factList } from "./dom.js";

export function showProblem(item, { again }) {
  const box = byId("problem");
  box.hidden = item.state !== "failed";
  if (box.hidden) return;
  const { error } = item;
  box.replaceChildren(
    element("h3", { text: error.title ?? "Something went wrong" }),
    element("p", { text: sentence(error.message) }),
    factList([
      ["Status", error.record?.status ?? ""],
      ["HTTP", error.status || ""],
      ["Request", error.problem?.request_id ?? "", true],
    ]),
    element("div", { class: "row" }, element("button", { type: "button", class: "plain small", text: "Try again", on: { click: again } })),
  );
}

function sentence(text) {
  const trimmed = text.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.?!]$/.test(trimmed) ? "" : ".");
}
