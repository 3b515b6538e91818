import type { Slots } from './state';

/** A state that holds from a time on. */
export interface Entry {
  /** In the element's time; s. */
  readonly time: number;
  readonly token: string;
  readonly epoch: number;
  readonly seq: number;
  readonly slots: Slots;
  /** Whether the signature was checked; null while that is going on. What is found to be wrong is taken off the list. */
  verified: boolean | null;
}

/**
 * Times closer than this are one; s. Players round them to the microsecond, and Shaka moves the media by less than 1 ms
 * without telling. No two frames of a picture are as close.
 */
export const sameTime = 0.002;

/** A list of more entries than this loses the oldest. Fifty changes a second for two minutes are fewer. */
const most = 8192;

/** Timeline holds states in the order of their time, those of one time in the order in which the node made them. */
export class Timeline {
  private readonly entries: Entry[] = [];

  get size(): number {
    return this.entries.length;
  }

  /** The entry with a token at a time; players tell the same message again and again. */
  find(time: number, token: string): Entry | null {
    for (let i = this.entries.length - 1; i >= 0; i--) {
      const entry = this.entries[i]!;
      if (entry.time < time - sameTime) return null;
      if (entry.token === token && entry.time <= time + sameTime) return entry;
    }
    return null;
  }

  /** Adds an entry at its place. */
  add(entry: Entry): void {
    const { entries } = this;
    let i = entries.length;
    while (i > 0 && before(entry, entries[i - 1]!)) i--;
    entries.splice(i, 0, entry);
    if (entries.length > most) entries.shift();
  }

  remove(entry: Entry): void {
    const i = this.entries.indexOf(entry);
    if (i >= 0) this.entries.splice(i, 1);
  }

  clear(): void {
    this.entries.length = 0;
  }

  /** The last entry at or before a time; null before the first. */
  at(time: number): Entry | null {
    return this.entries[this.behind(time) - 1] ?? null;
  }

  /** Entries behind a time, up to another. */
  between(from: number, to: number): Entry[] {
    return this.entries.slice(this.behind(from), this.behind(to));
  }

  /** Forgets what is before a time, but for the state that holds then. */
  prune(time: number): void {
    this.entries.splice(0, Math.max(0, this.behind(time) - 1));
  }

  /** How many entries are at or before a time. */
  private behind(time: number): number {
    let [low, high] = [0, this.entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.entries[middle]!.time <= time + sameTime) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function before(a: Entry, b: Entry): boolean {
  if (Math.abs(a.time - b.time) > sameTime) return a.time < b.time;
  return a.epoch !== b.epoch ? a.epoch < b.epoch : a.seq < b.seq;
}
