// The counter that is burned into each picture, so that a page can tell which frame is on its screen. Pages run this file, too.
//
// The top of the picture is a row of 16 equal cells, black for 0 and white for 1:
//
//	12 bits: the frame's number as a Gray code, highest first | 4 bits: exclusive or of its groups of four, and 0101
//
// In a Gray code one cell differs from a frame to the next, so that a picture that is half the one and half the other
// cannot show a third; the check tells most other damage, and an all black or all white picture.

export const cells = 16;
/** How many frames can be told apart. */
export const wrap = 1 << 12;

const mask = 0b0101;

/** The row's cells, 0 or 1, of a frame's number. */
export function encode(number) {
  const value = number % wrap;
  const gray = value ^ (value >> 1);
  const check = (gray >> 8) ^ ((gray >> 4) & 15) ^ (gray & 15) ^ mask;
  const row = (gray << 4) | check;
  return Array.from({ length: cells }, (_, i) => (row >> (cells - 1 - i)) & 1);
}

/** The number that a row shows, from the brightness of its cells, 0 to 255; -1 when it is no counter. */
export function decode(brightness) {
  let row = 0;
  for (const value of brightness) {
    // What is neither black nor white is another picture, or one between two.
    if (value > 96 && value < 160) return -1;
    row = (row << 1) | (value >= 160 ? 1 : 0);
  }
  const gray = row >> 4;
  if (((gray >> 8) ^ ((gray >> 4) & 15) ^ (gray & 15) ^ mask) !== (row & 15)) return -1;
  let value = gray;
  for (let shift = gray >> 1; shift > 0; shift >>= 1) value ^= shift;
  return value;
}
