// The dialog that asks for an API key.

import { byId } from "./dom.js";

/** @param {(key: string) => void} use called with what was typed */
export function setUpKey(use) {
  byId("key-open").addEventListener("click", () => askForKey({ isWrong: false }));
  byId("key-cancel").addEventListener("click", () => byId("key-dialog").close());
  byId("key-form").addEventListener("submit", () => {
    const key = byId("key").value.trim();
    byId("key").value = "";
    if (key) use(key);
  });
}

/** @param {{isWrong: boolean}} state whether a key was refused */
export function askForKey({ isWrong }) {
  byId("key-open").hidden = false;
  byId("key-title").textContent = isWrong ? "This key was refused" : "This service asks for an API key";
  if (!byId("key-dialog").open) byId("key-dialog").showModal();
  byId("key").focus();
}
