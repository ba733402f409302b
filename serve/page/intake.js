// How images come in: dropped anywhere, chosen, or pasted.

import { byId } from "./dom.js";

export function setUpIntake(take) {
  const [drop, files] = [byId("drop"), byId("files")];
  drop.addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    give(files.files, take);
    files.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", (event) => give(event.clipboardData?.files, take));
  setUpDropping(take);
}

function setUpDropping(take) {
  let depth = 0; // entering a child is told before leaving its parent
  const show = () => {
    byId("veil").hidden = depth === 0;
    byId("drop").classList.toggle("is-over", depth > 0);
  };
  document.addEventListener("dragenter", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    depth++;
    show();
  });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    show();
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    show();
    give(event.dataTransfer?.files, take);
  });
}

function give(files, take) {
  const given = [...(files ?? [])];
  if (given.length > 0) take(given);
}
