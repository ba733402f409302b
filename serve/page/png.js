// The values of a PNG with one byte or less for each pixel, exactly as they stand in the file.
//
// A canvas would give colours, through a palette and perhaps a colour profile; class ids and scores must stay numbers.
// Source: W3C, Portable Network Graphics (PNG) Specification, third edition.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const GRAY = 0;
const PALETTE = 3;

/**
 * @param {Uint8Array} file a PNG of grey values or palette indices, 1, 2, 4 or 8 bits, not interlaced
 * @returns {Promise<{width: number, height: number, values: Uint8Array}>} values row by row
 * @throws {Error} it is another kind of PNG, or none
 */
export async function decodePngValues(file) {
  if (SIGNATURE.some((byte, index) => file[index] !== byte)) throw new Error("the picture is no PNG");
  const { header, data } = readChunks(file);
  const [depth, colour, , , interlace] = header.subarray(8, 13);
  if (![GRAY, PALETTE].includes(colour) || depth > 8 || interlace) throw new Error("the PNG must hold one byte or less per pixel");
  const view = new DataView(header.buffer, header.byteOffset);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const rows = unfilter(await inflate(data), Math.ceil((width * depth) / 8), height);
  return { width, height, values: depth === 8 ? rows : unpack(rows, width, height, depth) };
}

function readChunks(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let header = null;
  const data = [];
  for (let at = 8; at + 8 <= file.length; ) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...file.subarray(at + 4, at + 8));
    const content = file.subarray(at + 8, at + 8 + length);
    if (kind === "IHDR") header = content;
    if (kind === "IDAT") data.push(content);
    at += length + 12;
  }
  if (!header) throw new Error("the PNG has no header");
  return { header, data };
}

async function inflate(parts) {
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Undoes the five filters of a PNG whose pixels take at most one byte. */
function unfilter(filtered, stride, height) {
  const rows = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const from = y * (stride + 1);
    const to = y * stride;
    const kind = filtered[from];
    for (let x = 0; x < stride; x++) {
      const left = x > 0 ? rows[to + x - 1] : 0;
      const up = y > 0 ? rows[to - stride + x] : 0;
      const corner = x > 0 && y > 0 ? rows[to - stride + x - 1] : 0;
      rows[to + x] = filtered[from + 1 + x] + predict(kind, left, up, corner);
    }
  }
  return rows;
}

function predict(kind, left, up, corner) {
  if (kind === 1) return left;
  if (kind === 2) return up;
  if (kind === 3) return (left + up) >> 1;
  if (kind !== 4) return 0;
  const guess = left + up - corner;
  const [toLeft, toUp, toCorner] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

function unpack(rows, width, height, depth) {
  const values = new Uint8Array(width * height);
  const stride = rows.length / height;
  const most = (1 << depth) - 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      values[y * width + x] = (rows[y * stride + (bit >> 3)] >> (8 - depth - (bit & 7))) & most;
    }
  }
  return values;
}
