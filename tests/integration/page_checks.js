// What can be told of a page's accessibility by looking at it: names of controls, and the contrast of its text.

function isVisible(node) {
  return node.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && !node.closest(".unseen, .skip, [aria-hidden='true']");
}

function nameOf(node) {
  const labelled = (node.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean);
  const parts = [
    node.getAttribute("aria-label"),
    ...labelled.map((id) => document.getElementById(id)?.textContent),
    ...[...(node.labels ?? [])].map((label) => label.textContent),
    node.textContent,
    node.getAttribute("alt"),
  ];
  return parts.map((part) => (part ?? "").trim()).find(Boolean) ?? "";
}

function nameless() {
  const roles = "button, input:not([hidden]), select, a[href], canvas, [role='listbox'], [role='option'], [role='radiogroup'], section, aside, fieldset, dialog";
  return [...document.querySelectorAll(roles)]
    .filter((node) => isVisible(node) && !nameOf(node) && !(node.tagName === "SECTION" && node.matches(".card")))
    .map((node) => node.outerHTML.slice(0, 120));
}

// Source: WCAG 2.2, relative luminance and contrast ratio.
function luminance(rgb) {
  const [red, green, blue] = rgb.map((channel) => (channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

// Red, green, blue and alpha of any colour that a style sheet knows.
function colour(text) {
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = text;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data].map((part) => part / 255);
}

function groundOf(node) {
  for (let at = node; at; at = at.parentElement) {
    const [red, green, blue, alpha] = colour(getComputedStyle(at).backgroundColor);
    if (alpha > 0.99) return [red, green, blue];
  }
  return [1, 1, 1];
}

function paleTexts() {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const node = walker.currentNode.parentElement;
    if (!text || !isVisible(node) || node.closest("script, noscript, option, :disabled")) continue;
    const [one, other] = [luminance(colour(getComputedStyle(node).color).slice(0, 3)), luminance(groundOf(node))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
}

return { nameless: nameless(), pale: paleTexts() };
