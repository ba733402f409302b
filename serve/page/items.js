// The images of this visit, and what became of each: waiting, running, done or failed.

import { readAnswer } from "./answer.js";
import { ProblemError } from "./api.js";

const AT_ONCE = 2;
const MAX_TRIES = 6;
const LONGEST_WAIT_S = 20;

export class Items extends EventTarget {
  #api;
  #numGiven = 0;
  #numRunning = 0;

  /** @param {Api} api what answers */
  constructor(api) {
    super();
    this.#api = api;
    this.all = [];
    this.selected = null;
    this.model = null;
    this.isHeld = false;
  }

  add(files) {
    for (const file of files) {
      const item = { id: ++this.#numGiven, file, name: file.name || "pasted image", state: "waiting", note: "", picture: null, answer: null, error: null, stop: null };
      this.all.push(item);
      item.previewed = this.#preview(item);
    }
    if (!this.selected) this.selected = this.all[this.all.length - files.length];
    this.#tell("change");
    this.run();
  }

  remove(item) {
    const at = this.all.indexOf(item);
    if (at < 0) return;
    item.stop?.abort();
    item.picture?.close();
    this.all.splice(at, 1);
    if (this.selected === item) this.selected = this.all[Math.min(at, this.all.length - 1)] ?? null;
    this.#tell("change");
  }

  clear() {
    for (const item of [...this.all]) this.remove(item);
  }

  select(item) {
    this.selected = item;
    this.#tell("change");
  }

  /** Answers of another model are not answers of this one: all images go again. */
  useModel(model) {
    this.model = model;
    for (const item of this.all) this.#reset(item);
    this.#tell("change");
    this.run();
  }

  again(item) {
    this.#reset(item);
    this.#tell("change");
    this.run();
  }

  /** Starts what waits, a few at a time, the selected image first. */
  run() {
    while (this.model && !this.isHeld && this.#numRunning < AT_ONCE) {
      const waiting = this.all.filter((item) => item.state === "waiting");
      const next = waiting.find((item) => item === this.selected) ?? waiting[0];
      if (!next) return;
      this.#numRunning++;
      this.#predict(next).finally(() => {
        this.#numRunning--;
        this.run();
      });
    }
  }

  async #predict(item) {
    const stop = new AbortController();
    const model = this.model;
    Object.assign(item, { state: "running", note: "", stop });
    this.#tell("change");
    try {
      const { answer, roundTripMs } = await this.#patiently(item, model, stop.signal);
      item.answer = await readAnswer(answer, model, roundTripMs);
      item.state = "done";
    } catch (error) {
      if (stop.signal.aborted) return; // removed, or sent again for another model
      if (error.status === 401) return this.#askForKey(item);
      Object.assign(item, { state: "failed", error });
    }
    this.#tell("change");
    this.#tell("finished", item);
    if (item.state === "done") await this.#askForPicture(item, model, stop.signal);
  }

  /** For formats that only the service reads. An answer without a picture is an answer all the same. */
  async #askForPicture(item, model, signal) {
    await item.previewed;
    if (item.picture) return;
    try {
      item.picture = await this.#api.picture(item.file, model, signal);
    } catch {
      return;
    }
    this.#tell("change");
  }

  /** Asks again where the service said that it is busy and for how long. */
  async #patiently(item, model, signal) {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#api.predict(item.file, model, signal);
      } catch (error) {
        const mayRetry = error instanceof ProblemError && [429, 503].includes(error.status) && error.retryAfterS !== null;
        if (!mayRetry || tries === MAX_TRIES || error.retryAfterS > LONGEST_WAIT_S) throw error;
        item.note = `the service is busy; again in ${error.retryAfterS} s`;
        this.#tell("change");
        await pause(error.retryAfterS * 1000, signal);
      }
    }
  }

  #askForKey(item) {
    this.isHeld = true;
    Object.assign(item, { state: "waiting", note: "waits for an API key", stop: null });
    this.#tell("change");
    this.#tell("keywanted");
  }

  #reset(item) {
    item.stop?.abort();
    Object.assign(item, { state: "waiting", note: "", answer: null, error: null, stop: null });
  }

  /** The picture as the browser reads it, upright; null for formats that only the service reads. */
  async #preview(item) {
    try {
      item.picture = await createImageBitmap(item.file, { imageOrientation: "from-image" });
    } catch {
      return;
    }
    this.#tell("change");
  }

  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
