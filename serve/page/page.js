// The page: what a person does goes to the items, what changes there is shown.

import { Api } from "./api.js";
import { showAnswer, showFacts, showTimings } from "./details.js";
import { byId, element, factList } from "./dom.js";
import { showDownloads } from "./downloads.js";
import { headline } from "./headline.js";
import { setUpIntake } from "./intake.js";
import { Items } from "./items.js";
import { askForKey, setUpKey } from "./key.js";
import { setUpList, showList } from "./list.js";
import { showProblem } from "./problem.js";
import { Stage } from "./stage.js";
import { setUpTheme } from "./theme.js";
import { verdictWord } from "./worth.js";

const api = new Api();
const items = new Items(api);
const stage = new Stage(showSelectedSoon);
let models = [];
let isDue = false;

setUpTheme(byId("theme"));
setUpList(items);
setUpIntake((files) => items.add(files));
setUpKey((key) => {
  api.useKey(key);
  items.isHeld = false;
  if (models.length === 0) loadModels();
  else items.run();
});
items.addEventListener("change", showAll);
items.addEventListener("finished", ({ detail }) => announce(detail));
items.addEventListener("keywanted", () => askForKey({ isWrong: api.hasKey }));
byId("remove").addEventListener("click", () => {
  items.remove(items.selected);
  (byId("list").querySelector('[aria-selected="true"]') ?? byId("drop")).focus();
});
byId("model").addEventListener("change", ({ target }) => useModel(models.find(({ name }) => name === target.value)));
document.addEventListener("themechange", showSelectedSoon);
loadModels();

async function loadModels() {
  byId("notice").hidden = true;
  try {
    models = await api.models();
  } catch (error) {
    if (error.status === 401) return askForKey({ isWrong: api.hasKey });
    byId("notice").textContent = error.message;
    byId("notice").hidden = false;
    return setTimeout(loadModels, 5000);
  }
  const select = byId("model");
  select.replaceChildren(...models.map(({ name, task }) => element("option", { value: name, text: models.length > 1 ? `${name} (${task})` : name })));
  select.disabled = false;
  return useModel(models[0]);
}

function useModel(model) {
  const classes = model.classes.slice(0, 4).join(", ") + (model.classes.length > 4 ? ` and ${model.classes.length - 4} more` : "");
  byId("about-model").replaceChildren(
    factList([
      ["Task", model.task],
      ["Classes", classes],
      ["Engine", model.engine],
      ["Version", model.version, true],
    ]),
  );
  items.useModel(model);
}

function showAll() {
  showList(items);
  const item = items.selected;
  byId("main").classList.toggle("is-empty", item === null);
  for (const id of ["result", "details"]) byId(id).hidden = item === null;
  showSelected(item);
}

function showSelected(item) {
  stage.show(item);
  if (!item) return;
  const { answer } = item;
  byId("details").hidden = answer === null;
  showProblem(item, { again: () => items.again(item) });
  if (!answer) return;
  showAnswer(answer, stage.look, mark);
  showTimings(answer);
  showFacts(answer);
  showDownloads(item, stage.look);
}

/** Brings one object out; only the picture is drawn anew, so that the table under the pointer stays. */
function mark(index) {
  stage.look.marked = index;
  stage.draw();
}

/** Sliders say more often that they moved than a screen can show. */
function showSelectedSoon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    showSelected(items.selected);
  });
}

function announce(item) {
  const left = items.all.filter(({ state }) => state === "waiting" || state === "running").length;
  const what = item.state === "failed" ? `not usable: ${item.error.message}` : headline(item.answer, null) + verdictWord(item.answer);
  byId("live").textContent = `${item.name}: ${what}.${left > 0 ? ` ${left} to go.` : ""}`;
}
