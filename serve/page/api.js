// The service's own interface, as everybody else has it. The key never leaves this module's memory.

/** What the service refused, in its own words (RFC 9457). */
export class ProblemError extends Error {
  constructor(problem) {
    super(problem.detail || problem.title);
    this.problem = problem;
    this.title = problem.title || "Request refused";
    this.status = problem.status || 0;
    this.retryAfterS = problem.retry_after_s ?? null;
    this.record = problem.record ?? null;
  }
}

export class Api {
  #key = "";

  /** Sent with each request from now on; "" sends none. */
  useKey(key) {
    this.#key = key;
  }

  get hasKey() {
    return this.#key !== "";
  }

  /** The models served, the default one first. */
  async models() {
    const answer = await (await this.#ask("v1/models", {})).json();
    return answer.models;
  }

  /**
   * One image through one model.
   *
   * @param {Blob} file encoded image
   * @param {object} model as `models` gives it: options that it has not are not asked for
   * @param {AbortSignal} signal closes the connection, which takes the image out of the service's queue
   */
  async predict(file, model, signal) {
    const query = new URLSearchParams({ model: model.name });
    for (const option of ["mask", "probabilities", "uncertainty"]) if (model.options[option]) query.set(option, "true");
    const started = performance.now();
    const reply = await this.#ask(`v1/predict?${query}`, {
      method: "POST",
      body: file,
      signal,
      headers: { "Content-Type": "application/octet-stream" },
    });
    const answer = await reply.json();
    return { answer, roundTripMs: performance.now() - started };
  }

  /** The image as the service read it, for formats that the browser cannot show. */
  async picture(file, model, signal) {
    const query = new URLSearchParams({ model: model.name, view: "image" });
    const reply = await this.#ask(`v1/predict?${query}`, {
      method: "POST",
      body: file,
      signal,
      headers: { Accept: "image/png", "Content-Type": "application/octet-stream" },
    });
    return createImageBitmap(await reply.blob());
  }

  async #ask(path, options) {
    const headers = { Accept: "application/json", ...options.headers };
    if (this.#key) headers.Authorization = `Bearer ${this.#key}`;
    let reply;
    try {
      reply = await fetch(path, { ...options, headers, cache: "no-store", credentials: "same-origin" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ProblemError({ title: "No answer", detail: "The service does not answer. Is it still running?" });
    }
    if (reply.ok) return reply;
    throw new ProblemError(await readProblem(reply));
  }
}

async function readProblem(reply) {
  const retryAfterS = Number(reply.headers.get("Retry-After")) || null;
  const plain = { title: `The service answered ${reply.status}`, status: reply.status, retry_after_s: retryAfterS };
  try {
    return { ...plain, ...(await reply.json()) };
  } catch {
    return plain; // a proxy in between answers with a page of its own
  }
}
