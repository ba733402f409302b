// How figures are written.

/** A share of 1 in per cent: "31.2 %", "< 0.1 %". */
export function percent(frac) {
  if (frac > 0 && frac < 0.001) return "< 0.1 %";
  return `${(frac * 100).toFixed(1)} %`;
}

/** A score in [0, 1]; never rounded up to 1.000. */
export function score(value) {
  return (value < 1 ? Math.min(value, 0.999) : value).toFixed(3);
}

/** Milliseconds. */
export function ms(value) {
  return value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

/** Bytes in the unit that fits. */
export function bytes(count) {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(count < 1e4 ? 1 : 0)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

/** "1 object", "7 objects". */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
