// The picture beside what was found in it, and the controls that change how it is drawn, never what was answered.

import { byId, element, roveWithArrows } from "./dom.js";
import { headline } from "./headline.js";
import { bytes, percent } from "./numbers.js";
import { fitCanvas, paintBoxes, paintMask, paintObjectMasks, paintPicture, paintUncertainty } from "./paint.js";
import { classColour, cssColour } from "./palette.js";
import { hasBackground, legendClasses, shownMask, shownObjects, thresholdRange } from "./shown.js";

const DRAWN_TASKS = ["segmentation", "detection"];

export class Stage {
  #redraw;
  #item = null;
  #shownAnswer = null;

  /** @param {() => void} changed called when a control was moved */
  constructor(changed) {
    this.look = { threshold: null, opacity: 0.5, isUnsure: false, hidden: new Set(), marked: null };
    this.#redraw = changed;
    this.#listen();
  }

  #listen() {
    byId("threshold").addEventListener("input", (event) => {
      this.look.threshold = Number(event.target.value);
      this.#redraw();
    });
    byId("threshold-reset").addEventListener("click", () => {
      this.look.threshold = null;
      byId("threshold").focus();
      this.#redraw();
    });
    byId("opacity").addEventListener("input", (event) => {
      this.look.opacity = Number(event.target.value);
      this.#redraw();
    });
    byId("uncertainty").addEventListener("change", (event) => {
      this.look.isUnsure = event.target.checked;
      this.#redraw();
    });
    const view = byId("view");
    view.addEventListener("click", (event) => event.target.dataset.view && this.#choose(event.target));
    roveWithArrows(view, "button", (button) => this.#choose(button));
    if (matchMedia("(max-width: 760px)").matches) this.#choose(view.querySelector('[data-view="overlay"]'));
    new ResizeObserver(() => this.#item && this.draw()).observe(byId("figures"));
  }

  #choose(button) {
    for (const other of byId("view").children) {
      other.setAttribute("aria-checked", String(other === button));
      other.tabIndex = other === button ? 0 : -1;
    }
    byId("figures").dataset.view = button.dataset.view;
  }

  /** Shows an image and its answer as far as there is one; null shows nothing. */
  show(item) {
    if (!item) {
      this.#item = this.#shownAnswer = null;
      return;
    }
    if (item.answer !== this.#shownAnswer || item !== this.#item) {
      Object.assign(this.look, { threshold: null, hidden: new Set(), marked: null });
      this.#shownAnswer = item.answer;
      this.#item = item;
      this.#showHead(item);
      this.#showControls(item);
    }
    this.#showState(item);
    this.draw();
  }

  #showHead({ name, file, answer }) {
    byId("image-name").textContent = name;
    const size = answer ? `${answer.imageHw[1]} × ${answer.imageHw[0]} px, ${answer.row.format}, ` : "";
    byId("image-facts").textContent = size + bytes(file.size);
  }

  #showState(item) {
    const isBusy = item.state === "waiting" || item.state === "running";
    byId("busy").hidden = !isBusy;
    byId("busy-text").textContent = item.note || (item.state === "running" ? "being predicted …" : "waiting …");
    const isDrawn = DRAWN_TASKS.includes(item.answer?.model.task);
    byId("view").hidden = item.state !== "done" || !isDrawn;
    byId("figure-overlay").hidden = item.state === "failed" || (item.state === "done" && !isDrawn);
    byId("figures").hidden = item.state === "failed" && !item.picture;
    byId("figures").classList.toggle("is-single", byId("figure-overlay").hidden);
    byId("controls").hidden = item.state !== "done" || byId("controls").dataset.isEmpty === "true";
  }

  #showControls({ answer }) {
    const range = answer && thresholdRange(answer);
    const isDrawn = answer && DRAWN_TASKS.includes(answer.model.task);
    const ids = answer ? legendClasses(answer) : [];
    byId("threshold-field").hidden = !range;
    byId("opacity-field").hidden = !isDrawn;
    byId("uncertainty-field").hidden = !answer?.unsure;
    byId("legend-field").hidden = ids.length === 0;
    byId("controls").dataset.isEmpty = String(!range && !isDrawn);
    if (range) Object.assign(byId("threshold"), { min: range.least, max: range.most });
    byId("legend").replaceChildren(...ids.map((id) => this.#chip(id, answer.model)));
  }

  #chip(id, model) {
    const colour = cssColour(classColour(id, { hasBackground: hasBackground(model) }));
    const toggle = (event) => {
      if (event.target.checked) this.look.hidden.delete(id);
      else this.look.hidden.add(id);
      this.#redraw();
    };
    return element(
      "label",
      { class: "chip" },
      element("input", { type: "checkbox", checked: true, value: id, on: { change: toggle } }),
      element("span", { class: "swatch", "aria-hidden": "true", style: { background: colour, "border-color": colour } }),
      model.classes[id],
    );
  }

  /** Draws both canvases anew; no request is made for it. */
  draw() {
    const { picture, answer, name } = this.#item;
    const imageHw = answer?.imageHw ?? (picture && [picture.height, picture.width]) ?? [3, 4];
    const [original, overlay] = [byId("original"), byId("overlay")];
    for (const canvas of [original, overlay]) paintPicture(canvas, picture, fitCanvas(canvas, imageHw));
    original.setAttribute("aria-label", picture ? `Original: ${name}` : `${name}, which this browser cannot show`);
    overlay.setAttribute("aria-label", answer ? `Result: ${headline(answer, this.look.threshold)}` : "No result yet");
    byId("uncertainty-most").textContent = answer?.unsure ? percent(mostUnsure(answer) / 255) : "";
    byId("overlay-caption").textContent = answer?.unsure && this.look.isUnsure ? "Uncertainty" : "Result";
    if (!answer) return;
    this.#showValues(answer);
    this.#drawAnswer(overlay, answer, overlay.width / imageHw[1]);
  }

  #drawAnswer(canvas, answer, scale) {
    const { threshold, opacity, hidden, marked, isUnsure } = this.look;
    const { task } = answer.model;
    if (isUnsure && answer.unsure) return paintUncertainty(canvas, answer.unsure, { opacity, most: mostUnsure(answer) });
    if (task === "segmentation" && answer.mask) paintMask(canvas, shownMask(answer, threshold), { opacity, hidden });
    if (task !== "detection") return;
    const objects = shownObjects(answer, threshold, hidden);
    paintObjectMasks(canvas, objects, answer.objectMasks, { imageHw: answer.imageHw, opacity });
    paintBoxes(canvas, objects, { scale, unit: canvas.width / (canvas.clientWidth || canvas.width), opacity, marked });
  }

  #showValues(answer) {
    const { threshold, opacity } = this.look;
    const range = thresholdRange(answer);
    byId("opacity-value").textContent = `${Math.round(opacity * 100)} %`;
    if (!range) return;
    const value = threshold ?? range.start;
    if (threshold === null) byId("threshold").value = value;
    byId("threshold-value").textContent = value.toFixed(2);
    byId("threshold-reset").disabled = threshold === null;
    byId("threshold-note").textContent = thresholdNote(answer, threshold, range.start);
  }
}

/** The largest uncertainty of an answer's pixels times 255; at least 1. */
function mostUnsure({ unsure }) {
  return unsure.values.reduce((most, value) => Math.max(most, value), 1);
}

function thresholdNote(answer, threshold, start) {
  if (answer.model.task === "segmentation" && threshold !== null) {
    return `Cut from the score map as it is; only at the model's own ${start.toFixed(2)} is the mask cleaned up as the package says.`;
  }
  return threshold === null ? "The model's own threshold." : "";
}
