// COCO's compressed run lengths, as rows hold the pixels of an object.

/**
 * @param {{size: number[], counts: string}} mask height and width, and the runs column by column
 * @returns {Uint8Array} (H * W) row by row, 1 where the object is
 */
export function decodeRuns(mask) {
  const [height, width] = mask.size;
  const values = new Uint8Array(height * width);
  let at = 0;
  let value = 0;
  for (const run of readRuns(mask.counts)) {
    if (value) for (let k = at; k < at + run; k++) values[(k % height) * width + Math.floor(k / height)] = 1;
    at += run;
    value ^= 1;
  }
  return values;
}

/** Source: Lin et al., cocoapi, maskApi.c, rleFrString: groups of 5 bits, from the third run on the difference to the run two before. */
function readRuns(text) {
  const runs = [];
  for (let at = 0; at < text.length; ) {
    let run = 0;
    for (let shift = 0, more = true; more; shift += 5) {
      const group = text.charCodeAt(at++) - 48;
      run |= (group & 31) << shift;
      more = (group & 32) !== 0;
      if (!more && group & 16) run |= -1 << (shift + 5);
    }
    if (runs.length > 2) run += runs[runs.length - 2];
    runs.push(run);
  }
  return runs;
}
