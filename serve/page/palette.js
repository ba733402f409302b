// A colour for each class, told apart by colour-blind eyes as long as there are few.

// Source: Okabe & Ito, Color Universal Design, 2008; black left out, which masks keep for the background.
const FEW = [
  [86, 180, 233],
  [230, 159, 0],
  [0, 158, 115],
  [240, 228, 66],
  [0, 114, 178],
  [213, 94, 0],
  [204, 121, 167],
];
const GOLDEN_ANGLE_DEG = 137.508;

/** Red, green and blue of a class, 0 to 255 each; null for the background, which is left clear. */
export function classColour(classId, { hasBackground }) {
  const index = hasBackground ? classId - 1 : classId;
  if (index < 0) return null;
  return index < FEW.length ? FEW[index] : fromHue((index * GOLDEN_ANGLE_DEG) % 360, index % 2 ? 0.62 : 0.46);
}

/** The same for style sheets. */
export function cssColour(rgb, alpha = 1) {
  return `rgb(${rgb[0]} ${rgb[1]} ${rgb[2]} / ${alpha})`;
}

/** Black or white, whichever is read better on a colour. Source: WCAG 2.2, relative luminance. */
export function readableOn(rgb) {
  const [red, green, blue] = rgb.map((channel) => {
    const part = channel / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

function fromHue(hue, lightness) {
  const chroma = 0.6 * (1 - Math.abs(2 * lightness - 1));
  return [0, 8, 4].map((offset) => {
    const at = (offset + hue / 30) % 12;
    return Math.round(255 * (lightness - (chroma / 2) * Math.max(-1, Math.min(at - 3, 9 - at, 1))));
  });
}
