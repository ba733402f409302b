"use strict";
// Makes the page handier: nothing is shown by it that is not there without it, and it only ever writes text.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (name, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const grouped = (number) => number.toLocaleString("en-US");
  const short = (value) => (value > 2 ? grouped(Math.round(value)) : String(+value.toPrecision(2)));

  // Tables: a button on each heading sorts, and a field above long ones searches.
  const MANY_ROWS = 8;
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return "v" in cell.dataset ? (cell.dataset.v === "" ? -Infinity : Number(cell.dataset.v)) : cell.textContent.trim();
  };
  function sortBy(table, column, heading) {
    const down = heading.getAttribute("aria-sort") ? heading.getAttribute("aria-sort") === "ascending" : heading.classList.contains("num");
    for (const other of all("th[aria-sort]", table.tHead)) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
    const keyed = [...table.tBodies[0].rows].map((row) => [valueOf(row, column), row]);
    keyed.sort((a, b) => (down ? -1 : 1) * order(a[0], b[0]));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  }
  for (const table of all("table.sortable")) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = make("button", { type: "button" }, ...heading.childNodes);
      button.addEventListener("click", () => sortBy(table, column, heading));
      heading.append(button);
    });
    if (rows.length < MANY_ROWS) continue;
    const field = make("input", { type: "search", placeholder: `Search ${table.dataset.name}`, ariaLabel: `Search ${table.dataset.name}` });
    const told = make("span", { className: "dim" });
    told.setAttribute("role", "status");
    const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      for (const [row, text] of texts) {
        row.hidden = !words.every((word) => text.includes(word));
        found += !row.hidden;
      }
      told.textContent = words.length ? `${grouped(found)} of ${grouped(rows.length)}` : "";
    });
    const place = table.parentElement.classList.contains("scroll") ? table.parentElement : table;
    place.before(make("div", { className: "search" }, field, told));
  }

  // Charts: what lies below the pointer is told, a stretch that is dragged over fills the chart, keys do the same.
  class Chart {
    constructor(figure, { columns, tell, rescale = () => {}, edge }) {
      Object.assign(this, { figure, columns, tell, rescale, edge, from: 0, to: columns, at: -1, row: 0 });
      this.plot = figure.querySelector(".plot");
      this.svg = figure.querySelector("svg");
      this.height = this.svg.viewBox.baseVal.height;
      this.ticks = all(".axis:not(.up) span", figure);
      this.tip = make("div", { className: "tip", hidden: true });
      this.tip.setAttribute("role", "status");
      this.mark = make("div", { className: "mark", hidden: true });
      this.plot.append(this.mark, this.tip);
      this.plot.tabIndex = 0;
      this.plot.setAttribute("role", "group");
      this.plot.setAttribute("aria-label", `${figure.dataset.name}: arrow keys read it, + and - zoom, 0 shows all`);
      this.all = make("button", { type: "button", textContent: "Show all", hidden: true });
      this.tools = make("span", { className: "tools" }, this.all);
      figure.querySelector("figcaption").append(this.tools);
      this.all.addEventListener("click", () => this.zoom(0, this.columns));
      this.plot.addEventListener("pointermove", (event) => this.move(event));
      this.plot.addEventListener("pointerdown", (event) => this.press(event));
      this.plot.addEventListener("pointerup", (event) => this.release(event));
      this.plot.addEventListener("pointerleave", () => this.hide());
      this.plot.addEventListener("pointercancel", () => { this.start = undefined; this.hide(); });
      this.plot.addEventListener("blur", () => this.hide());
      this.plot.addEventListener("dblclick", () => this.zoom(0, this.columns));
      this.plot.addEventListener("keydown", (event) => this.key(event));
    }
    place(event) {
      const box = this.plot.getBoundingClientRect();
      const share = (value, size) => Math.min(Math.max(value / size, 0), 0.999999);
      return [share(event.clientX - box.left, box.width), share(event.clientY - box.top, box.height)];
    }
    columnAt(share) { return Math.floor(this.from + share * (this.to - this.from)); }
    press(event) { if (event.button === 0 && event.pointerType !== "touch") { this.start = this.place(event)[0]; this.plot.setPointerCapture(event.pointerId); } }
    move(event) {
      const [x, y] = this.place(event);
      if (this.start === undefined) return this.show(this.columnAt(x), Math.floor(y * this.height));
      const [low, high] = [Math.min(this.start, x), Math.max(this.start, x)];
      this.mark.hidden = false;
      Object.assign(this.mark.style, { left: `${100 * low}%`, width: `${100 * (high - low)}%`, top: "0", height: "auto" });
    }
    release(event) {
      if (this.start === undefined) return;
      const [low, high] = [this.start, this.place(event)[0]].sort((a, b) => a - b);
      this.start = undefined;
      this.hide();
      if (high - low > 0.02) this.zoom(this.columnAt(low), this.columnAt(high) + 1);
    }
    zoom(from, to) {
      from = Math.max(0, from);
      to = Math.min(this.columns, Math.max(to, from + 2));
      Object.assign(this, { from, to });
      this.svg.setAttribute("viewBox", `${from} 0 ${to - from} ${this.height}`);
      this.ticks.forEach((tick, k) => { tick.textContent = short(this.edge(from + (k * (to - from)) / (this.ticks.length - 1))); });
      this.all.hidden = to - from >= this.columns;
      this.rescale(from, to);
    }
    show(column, row = this.row) {
      if (column < this.from || column >= this.to) return;
      Object.assign(this, { at: column, row });
      const text = this.tell(column, row);
      this.tip.hidden = this.mark.hidden = false;
      if (this.tip.textContent !== text) this.tip.textContent = text;
      const width = 100 / (this.to - this.from);
      const left = (column - this.from) * width;
      Object.assign(this.mark.style, { left: `${left}%`, width: `${width}%`, ...this.across(row) });
      Object.assign(this.tip.style, left > 50 ? { left: "auto", right: `${100 - left - width}%` } : { left: `${left}%`, right: "auto" });
    }
    across() { return { top: "0", height: "auto" }; }
    hide() { this.tip.hidden = this.mark.hidden = true; }
    key(event) {
      const middle = this.at < 0 ? (this.from + this.to) / 2 : this.at + 0.5;
      const half = (this.to - this.from) / 2;
      const keys = {
        ArrowLeft: () => this.show(Math.max(this.at - 1, this.from)),
        ArrowRight: () => this.show(Math.min(this.at + 1, this.to - 1)),
        ArrowUp: () => this.show(Math.max(this.at, this.from), Math.max(this.row - 1, 0)),
        ArrowDown: () => this.show(Math.max(this.at, this.from), Math.min(this.row + 1, this.height - 1)),
        Home: () => this.show(this.from),
        End: () => this.show(this.to - 1),
        "+": () => this.zoom(Math.floor(middle - half / 2), Math.ceil(middle + half / 2)),
        "-": () => this.zoom(Math.floor(middle - 2 * half), Math.ceil(middle + 2 * half)),
        0: () => this.zoom(0, this.columns),
        Escape: () => this.hide(),
      };
      const done = keys[event.key === "=" ? "+" : event.key];
      if (!done || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      done();
    }
  }
  for (const figure of all(".histogram[data-counts]")) {
    const counts = figure.dataset.counts.split(" ").map(Number);
    const total = counts.reduce((a, b) => a + b, 0);
    const group = figure.querySelector(".grow");
    const bars = all("rect", figure);
    const reference = figure.querySelector(".reference");
    const filled = counts.flatMap((count, column) => (count ? [[count, column]] : []));
    let isLog = false;
    const draw = (from, to) => {
      const scale = isLog ? Math.log1p : (count) => count;
      const most = Math.max(1e-9, ...counts.slice(from, to).map(scale));
      filled.forEach(([count], k) => {
        const height = Math.max((100 * scale(count)) / most, 0.8);
        bars[k].setAttribute("height", height);
        bars[k].setAttribute("y", 100 - height);
      });
      if (reference) {
        const stretch = Math.max(...counts) / Math.max(1, ...counts.slice(from, to));
        reference.setAttribute("transform", `translate(0 ${100 - 100 * stretch}) scale(1 ${stretch})`);
        reference.toggleAttribute("hidden", isLog);
      }
    };
    const edge = (column) => column / counts.length;
    const chart = new Chart(figure, {
      columns: counts.length,
      edge,
      rescale: draw,
      tell: (column) => `${edge(column).toFixed(3)} to ${edge(column + 1).toFixed(3)}: ${grouped(counts[column])} images (${((100 * counts[column]) / total).toFixed(1)} %)`,
    });
    const log = make("button", { type: "button", textContent: "Log", title: "Heights as logarithms, so that rare values show", ariaPressed: "false" });
    log.addEventListener("click", () => {
      isLog = !isLog;
      log.ariaPressed = String(isLog);
      draw(chart.from, chart.to);
    });
    chart.tools.prepend(log);
  }
  for (const figure of all(".heat[data-cells]")) {
    const edges = figure.dataset.edges.split(" ").map(Number);
    const images = new Map(figure.dataset.cells.split(" ").map((cell) => cell.split(",").map(Number)).map(([column, row, count]) => [column * 32 + row, count]));
    const edge = (column) => edges[Math.floor(column)] + (column % 1) * ((edges[Math.floor(column) + 1] ?? 0) - edges[Math.floor(column)]);
    const unit = figure.dataset.axis === "size" ? " px" : "";
    const chart = new Chart(figure, {
      columns: edges.length - 1,
      edge,
      tell: (column, row) => `${figure.dataset.axis} ${short(edges[column])} to ${short(edges[column + 1])}${unit}, uncertainty ${(1 - (row + 1) / 32).toFixed(2)} to ${(1 - row / 32).toFixed(2)}: ${grouped(images.get(column * 32 + row) ?? 0)} images`,
    });
    chart.across = (row) => ({ top: `${(100 * row) / 32}%`, height: `${100 / 32}%` });
  }

  // Pictures: a larger one, and the next by arrow keys.
  const dialog = make("dialog");
  const large = make("img", { alt: "" });
  const said = make("div", { className: "said" });
  const file = make("a", { textContent: "Open the file", target: "_blank", rel: "noreferrer" });
  const button = (text, act, className = "") => {
    const made = make("button", { type: "button", textContent: text, className });
    made.addEventListener("click", act);
    return made;
  };
  let pictures = [], shown = 0, opener = null;
  const present = (index) => {
    shown = (index + pictures.length) % pictures.length;
    const link = pictures[shown], image = link.querySelector("img");
    large.src = image.dataset.large || image.src;
    large.alt = image.alt;
    file.href = link.href;
    said.replaceChildren(...all("p", link.parentElement).map((line) => line.cloneNode(true)));
  };
  dialog.append(make("div", { className: "stage" }, large), said, make("div", { className: "buttons" },
    button("Previous", () => present(shown - 1)), button("Next", () => present(shown + 1)), file, button("Close", () => dialog.close(), "close")));
  dialog.setAttribute("aria-label", "Picture");
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") present(shown - 1);
    if (event.key === "ArrowRight") present(shown + 1);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => opener?.focus());
  document.body.append(dialog);
  for (const link of all(".gallery a.picture:has(img)")) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      opener = link;
      pictures = all(".card:not([hidden], .folded) a.picture:has(img)", link.closest(".gallery"));
      present(pictures.indexOf(link));
      dialog.showModal();
    });
  }
  // Long galleries begin with the first of their pictures; paper has them all.
  const FIRST = matchMedia("(max-width: 30rem)").matches ? 8 : 18;
  function unfold(gallery) {
    for (const card of all(".folded", gallery)) card.classList.remove("folded");
    if (gallery.nextElementSibling?.classList.contains("more")) gallery.nextElementSibling.remove();
  }
  function fold(gallery) {
    unfold(gallery);
    const cards = all(".card:not([hidden])", gallery);
    const rest = cards.slice(FIRST);
    if (rest.length < 4) return;
    for (const card of rest) card.classList.add("folded");
    gallery.after(make("p", { className: "more" }, button(`Show all ${grouped(cards.length)}`, () => {
      unfold(gallery);
      rest[0].querySelector("a")?.focus();
    })));
  }
  for (const gallery of all(".gallery")) fold(gallery);
  addEventListener("beforeprint", () => all(".gallery").forEach(unfold));
  for (const place of all("[data-choices]")) {
    const cards = all(".card", place.nextElementSibling);
    const choices = place.dataset.choices.split("|").map((choice) => choice.split(":"));
    if (choices.length < 2) continue;
    const show = (policy) => {
      for (const card of cards) card.hidden = policy !== "" && !card.dataset.policies.split(" ").includes(policy);
      for (const one of buttons) one.ariaPressed = String(one.policy === policy);
      fold(place.nextElementSibling);
    };
    const buttons = [...choices, ["", "all"]].map(([policy, words]) => Object.assign(button(words, () => show(policy)), { policy }));
    place.append(...buttons);
    show(choices[0][0]);
  }

  // The bar at the top: where the reader is, and the other colour scheme.
  const theme = button("Dark or light", () => {
    const now = getComputedStyle(document.documentElement).colorScheme;
    const isDark = now === "dark" || (now !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.style.colorScheme = isDark ? "light" : "dark";
  });
  document.querySelector("nav ul").append(make("li", { className: "theme" }, theme));
  const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.classList.remove("is-here");
      links.get(entry.target.id)?.classList.add("is-here");
    }
  }, { rootMargin: "-10% 0px -75% 0px" });
  for (const id of links.keys()) watcher.observe(document.getElementById(id));
  addEventListener("beforeprint", () => {
    for (const one of all("details:not(.numbers)")) one.open = true;
    for (const image of all("img")) image.loading = "eager";
  });
})();
