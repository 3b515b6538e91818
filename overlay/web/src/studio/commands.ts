import { Failure, type Api } from './api';
import { diff, same } from './merge';
import type { Store } from './store';
import type { StudioStrings } from './strings';
import { rfc3339 } from './times';
import type { Card, CardView, Result, View } from './types';

/** How long the page may take to show what the node has acknowledged, before it connects anew; ms. */
const settleWithin = 2000;

/** Shows what somebody else changed meanwhile, and asks whether mine is to be put on top of it. */
export type Ask = (base: Card, theirs: Card, mine: Card) => Promise<boolean>;

/** What became of an edit: done, nothing to do, or given up by the host when somebody else was faster. */
export type Outcome = 'done' | 'same' | 'kept';

/** What commands need of the page around them. */
interface Surroundings {
  readonly api: Api;
  readonly store: Store;
  readonly s: StudioStrings;
  readonly said: (text: string) => void;
  readonly failed: (text: string) => void;
  /** Connects anew, to learn how things are. */
  readonly reconnect: () => void;
  readonly ask: Ask;
  /** What a card is called. */
  readonly name: (id: string) => string;
}

/** The sentence that tells the host why something was not done. */
export function sentence(error: unknown, s: StudioStrings): string {
  if (!(error instanceof Failure)) return String(error);
  if (error.detail !== '') return error.detail;
  return error.status === 0 ? s.noAnswer : s.refused(error.status);
}

/**
 * Commands are all that the host can change. Each is over when the node has acknowledged it, which it does once the change
 * is on disk, and the page has been told of it. Those that say what became of them resolve to whether it was done.
 */
export class Commands {
  /** The last edit of each card, for the next to wait for. */
  private readonly edits = new Map<string, Promise<unknown>>();

  constructor(private readonly of: Surroundings) {}

  /** Puts a card into a slot: now, or at a time of the node's clock in ms. */
  show(slot: string, card: string, at?: number): Promise<boolean> {
    const { api, s, name } = this.of;
    const body = at === undefined ? { card } : { card, at: rfc3339(at) };
    const said = at === undefined ? s.isOnAir(name(card), slot) : s.isScheduled(name(card), slot);
    return this.tell(said, () => api.change('PUT', `/slots/${slot}`, { body }));
  }

  /** Empties a slot, '' is all of them: now, or at a time. An empty slot is left as it is. */
  hide(slot: string, at?: number): Promise<boolean> {
    const { api, s, store } = this.of;
    if (at === undefined && (slot === '' ? store.view?.slots.length === 0 : !store.shown(slot)))
      return Promise.resolve(true);
    const path = slot === '' ? '/slots' : `/slots/${slot}`;
    const query = at === undefined ? '' : `?at=${encodeURIComponent(rfc3339(at))}`;
    const said = at === undefined ? s.isHidden(slot) : s.hideScheduled(slot);
    return this.tell(said, () => api.change('DELETE', path + query));
  }

  /** Takes a scheduled command back. */
  cancel(id: string): Promise<boolean> {
    const gone = (view: View) => view.scheduled.every((scheduled) => scheduled.id !== id);
    return this.tell(this.of.s.isCancelled, () => this.of.api.change('DELETE', `/schedule/${encodeURIComponent(id)}`), gone);
  }

  /** Sorts the list. */
  order(ids: readonly string[]): Promise<boolean> {
    const sorted = (view: View) =>
      same(
        view.cards.map(({ id }) => id),
        ids,
      );
    return this.tell(this.of.s.isSorted, () => this.of.api.change('PATCH', '/cards', { body: { order: ids } }), sorted);
  }

  /** Takes a card off the list. */
  remove(card: CardView): Promise<boolean> {
    const { api, s, name } = this.of;
    const gone = (view: View) => view.cards.every(({ id }) => id !== card.id);
    return this.tell(s.isDeleted(name(card.id)), () => api.change('DELETE', `/cards/${card.id}`, { rev: card.rev }), gone);
  }

  /** Says whether cards that come with the media count. */
  acceptInBand(accept: boolean): Promise<boolean> {
    const set = (view: View) => view.in_band === accept;
    const change = () => this.of.api.change<Result>('PATCH', '/card-settings', { body: { in_band: accept } });
    return this.tell(accept ? this.of.s.inBandOn : this.of.s.inBandOff, change, set);
  }

  /** Changes a card while it is shown. Edits of a card wait for one another, so that clicks add up. */
  async quick(id: string, said: string, change: (card: Card) => Card): Promise<boolean> {
    const edit = (this.edits.get(id) ?? Promise.resolve()).then(async () => {
      const card = this.of.store.card(id);
      if (!card) throw new Failure(404, this.of.s.cardGone);
      return this.edit(card, change);
    });
    this.edits.set(
      id,
      edit.catch(() => undefined),
    );
    try {
      if ((await edit) === 'done') this.of.said(said);
      return (await edit) !== 'kept';
    } catch (error) {
      return this.report(error);
    }
  }

  /**
   * Makes a card what change says, if it still has the revision of base. Where it has not, the host sees what was changed
   * and decides; change is then made on the new content. Throws a Failure.
   */
  async edit(base: CardView, change: (card: Card) => Card): Promise<Outcome> {
    this.connected();
    const { api, ask } = this.of;
    const path = `/cards/${base.id}`;
    for (;;) {
      const patch = diff(base.card, change(base.card));
      if (!patch) return 'same';
      try {
        const terms = { body: patch, type: 'application/merge-patch+json', rev: base.rev };
        await this.settle(await api.change<Result>('PATCH', path, terms));
        return 'done';
      } catch (error) {
        if (!(error instanceof Failure) || error.status !== 412) throw error;
      }
      const now = await api.read<CardView>(path);
      if (!(await ask(base.card, now.card, change(now.card)))) return 'kept';
      base = now;
    }
  }

  /** Makes a card that is not there yet, or whichever is. Throws a Failure. */
  async put(card: Card, fresh: boolean): Promise<void> {
    this.connected();
    const terms = fresh ? { body: card, rev: null } : { body: card };
    await this.settle(await this.of.api.change<Result>('PUT', `/cards/${encodeURIComponent(card.id)}`, terms));
  }

  /** Makes these cards the whole list. Throws a Failure. */
  async replace(cards: readonly Card[]): Promise<void> {
    this.connected();
    await this.settle(await this.of.api.change<Result>('PUT', '/cards', { body: cards }));
  }

  /** Carries a command out and tells the host what became of it. */
  private async tell(said: string, change: () => Promise<Result | null>, seen?: (view: View) => boolean): Promise<boolean> {
    try {
      this.connected();
      await this.settle(await change(), seen);
      this.of.said(said);
      return true;
    } catch (error) {
      return this.report(error);
    }
  }

  /** Tells the host what was not done. Without an answer nobody knows; a new connection shows it. */
  private report(error: unknown): false {
    this.of.failed(sentence(error, this.of.s));
    if (error instanceof Failure && error.status === 0 && this.of.store.connected) this.of.reconnect();
    return false;
  }

  private connected(): void {
    if (!this.of.store.connected) throw new Failure(0, this.of.s.notConnected);
  }

  /** Waits until the page has what the node acknowledged. */
  private async settle(result: Result | null, seen = (_: View) => true): Promise<void> {
    const reached = (view: View) => seen(view) && (!result || covers(view, result));
    if (!(await this.of.store.reached(reached, settleWithin))) this.of.reconnect();
  }
}

/** Whether a view is at least as new as what a command left behind. */
function covers(view: View, result: Result): boolean {
  if (view.epoch < result.epoch || (view.epoch === result.epoch && view.seq < result.seq)) return false;
  if (result.card === undefined || !result.rev) return true;
  const card = view.cards.find(({ id }) => id === result.card);
  return card ? card.rev >= result.rev : !result.created;
}
