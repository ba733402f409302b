// Building elements, and finding them.

export const byId = (id) => document.getElementById(id);

/**
 * An element with attributes and children. `text` sets its text, `on` its listeners, `style` single properties: an
 * inline style attribute would be refused by the page's content security policy, properties set by script are not.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else if (name === "style") for (const [key, item] of Object.entries(value)) made.style.setProperty(key, item);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A list of facts, a term and a value each; empty values are left out. */
export function factList(pairs) {
  const list = element("dl", { class: "facts" });
  for (const [term, value, isCode] of pairs) {
    if (value === "" || value === null || value === undefined) continue;
    list.append(element("dt", { text: term }), element("dd", { text: String(value), class: isCode ? "mono" : null }));
  }
  return list;
}

/** Lets arrow keys, Home and End move the focus among the children that match, as one stop of the tab key. */
export function roveWithArrows(container, selector, choose) {
  container.addEventListener("keydown", (event) => {
    const items = [...container.querySelectorAll(selector)];
    const at = items.indexOf(document.activeElement);
    const target = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (at < 0 || target === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const next = items[Math.max(0, Math.min(items.length - 1, target))];
    choose(next);
    next.focus();
  });
}
