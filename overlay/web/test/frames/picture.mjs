// Draws the pictures of the test stream.
import { cells, encode } from './counter.mjs';

export const width = 192;
export const height = 108;
export const rate = 25;
/** Lines that the counter takes: a sixth. */
const rows = height / 6;

// Digits of 3 by 5 points, row by row, for people who look at a screenshot.
const digits = [
  0b111_101_101_101_111, 0b010_110_010_010_111, 0b111_001_111_100_111, 0b111_001_111_001_111, 0b101_101_111_001_001,
  0b111_100_111_001_111, 0b111_100_111_101_111, 0b111_001_010_010_010, 0b111_101_111_101_111, 0b111_101_111_001_111,
];
const point = 6;

const still = (() => {
  const frame = Buffer.alloc((width * height * 3) / 2, 128);
  for (let y = rows; y < height; y++) {
    for (let x = 0; x < width; x++) frame[y * width + x] = 40 + ((x ^ y) & 31);
  }
  return frame;
})();

/** Draws a frame: planar yuv420p with the counter as cells and as digits, and a bar that moves. */
export function draw(number) {
  const frame = Buffer.from(still);
  const box = (left, top, wide, high, luma) => {
    for (let y = top; y < top + high; y++) frame.fill(luma, y * width + left, y * width + left + wide);
  };
  const cell = width / cells;
  encode(number).forEach((bit, i) => box(i * cell, 0, cell, rows, bit ? 235 : 16));
  String(number).padStart(4, '0').split('').forEach((digit, i) => {
    for (let p = 0; p < 15; p++) {
      const on = (digits[digit] >> (14 - p)) & 1;
      box(38 + i * 5 * point + (p % 3) * point, 36 + Math.floor(p / 3) * point, point, point, on ? 220 : 30);
    }
  });
  box((number * 4) % (width - 16), 80, 16, 16, 200);
  return frame;
}
