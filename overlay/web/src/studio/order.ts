/** The list with what was at from put at to; places outside the list are its ends. */
export function move<T>(list: readonly T[], from: number, to: number): T[] {
  const moved = [...list];
  if (from < 0 || from >= list.length) return moved;
  const [item] = moved.splice(from, 1);
  moved.splice(Math.max(0, Math.min(list.length - 1, to)), 0, item as T);
  return moved;
}

/** A row's place on the screen: where it begins and how high it is. */
export interface Box {
  readonly top: number;
  readonly height: number;
}

/**
 * Where a row lands that is held with its middle at y: boxes are where all rows lie while nothing is held, from is the
 * place of the one that is.
 */
export function landing(boxes: readonly Box[], from: number, y: number): number {
  let to = 0;
  for (const [i, box] of boxes.entries()) {
    if (i !== from && y > box.top + box.height / 2) to++;
  }
  return to;
}

/** How far a row moves aside, in rows: -1 up, 1 down, while the one from from is held over to. */
export function aside(row: number, from: number, to: number): -1 | 0 | 1 {
  if (row === from) return 0;
  if (from < row && row <= to) return -1;
  if (to <= row && row < from) return 1;
  return 0;
}
