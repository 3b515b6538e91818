// The clock that is burned into a picture: how it is drawn and how it is read.
//
// The top of the picture is a row of equal cells, black for 0 and white for 1:
//
//	1 0 | 26 bits of milliseconds, highest first | 4 bits: exclusive or of the others in groups of four
//
// The first two tell the row from any other picture; the time wraps after 18 hours.

export const width = 1280;
export const height = 720;
/** Lines that the row takes. */
export const rows = 64;
export const cells = 32;

const bits = 26;
const wrap = 2 ** bits;

function checksum(value) {
  let sum = 0;
  for (let rest = value; rest > 0; rest = Math.floor(rest / 16)) sum ^= rest % 16;
  return sum;
}

/** The row's cells, 0 or 1, for a time in ms. */
export function encode(ms) {
  const value = Math.floor(ms) % wrap;
  const row = [1, 0];
  for (let i = bits - 1; i >= 0; i--) row.push(Math.floor(value / 2 ** i) % 2);
  for (let i = 3; i >= 0; i--) row.push((checksum(value) >> i) & 1);
  return row;
}

/** The time in ms that cells of brightness 0 to 255 show; null when they are no clock. */
export function decode(brightness) {
  // What is neither black nor white is another picture, or one between two.
  if (brightness.length !== cells || brightness.some((v) => v > 90 && v < 165)) return null;
  const row = brightness.map((v) => (v > 127 ? 1 : 0));
  if (row[0] !== 1 || row[1] !== 0) return null;
  const number = (from, to) => row.slice(from, to).reduce((sum, bit) => sum * 2 + bit, 0);
  const value = number(2, 2 + bits);
  return number(2 + bits, cells) === checksum(value) ? value : null;
}

/** How long ago a time that was read is; ms. */
export function age(read, now) {
  return (((Math.floor(now) - read) % wrap) + wrap) % wrap;
}
