import { cardForm, slotForm, type SlotState, type Slots } from './state';
import { sameTime } from './timeline';
import type { Range } from './types';

/** The class of our date ranges and the attribute that says what is shown (EXT-X-DATERANGE, rfc8216bis 4.4.5.1). */
export const rangeClass = 'live.pushcart.card';
export const rangeAttribute = 'X-PUSHCART-CARD';

/** How many ranges are looked at; the latest count. */
const most = 4096;

interface Read extends SlotState {
  readonly slot: string;
  readonly start: number;
  readonly end: number;
  /** Of the change that opened it, from its identifier: SLOT-EPOCH-SEQ. */
  readonly order: readonly [epoch: number, seq: number];
}

/** Ranges are the cards that a playlist knows of. They are not signed, and stand in where no signed state ever comes. */
export class Ranges {
  private list: Read[] = [];

  get size(): number {
    return this.list.length;
  }

  /** Replaces all. What is not of our form is passed over. */
  set(list: readonly Range[]): void {
    this.list = list
      .slice(-most)
      .flatMap((range) => read(range) ?? [])
      .sort(compare);
  }

  /** What is shown at a time. */
  at(time: number): Slots {
    const slots = new Map<string, SlotState>();
    for (const { slot, card, rev, since, start, end } of this.list) {
      if (start <= time + sameTime && time + sameTime < end) slots.set(slot, { card, rev, since });
    }
    return slots;
  }

  /** What begins behind a time, up to another: each by itself. */
  between(from: number, to: number): { time: number; slots: Slots; verified: false }[] {
    return this.list
      .filter(({ start }) => start > from + sameTime && start <= to)
      .map(({ start, slot, card, rev, since }) => ({ time: start, slots: new Map([[slot, { card, rev, since }]]), verified: false }));
  }
}

/** By start, then by the change that opened it: the later one wins its slot. */
function compare(a: Read, b: Read): number {
  return a.start - b.start || a.order[0] - b.order[0] || a.order[1] - b.order[1];
}

function read({ id, value, start, end }: Range): Read | null {
  const [slot = '', card = '', revision = '', ...rest] = value.split('/');
  const rev = Number(revision);
  const fits = slotForm.test(slot) && cardForm.test(card) && /^[1-9][0-9]{0,15}$/.test(revision) && rest.length === 0;
  if (!fits || !Number.isSafeInteger(rev) || !Number.isFinite(start) || Number.isNaN(end)) return null;
  const order = /-([0-9]{1,16})-([0-9]{1,16})$/.exec(id);
  return { slot, card, rev, since: null, start, end, order: [Number(order?.[1] ?? 0), Number(order?.[2] ?? 0)] };
}
