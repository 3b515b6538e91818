import type { Link } from './feed';
import type { CardView, SlotView, View } from './types';

/** The slot that is always offered. */
export const mainSlot = 'main';

/** Store holds what the node said last, and what of it the host looks at. Who shows it is told of each change. */
export class Store {
  /** The newest view; null before the first. */
  view: View | null = null;
  link: Link = 'connecting';
  /** What the node said as it refused to connect; ''. */
  linkDetail = '';
  /** The token is one that reads only. */
  readOnly = false;
  /** The slot that buttons and keys act on. */
  slot = mainSlot;
  /** The card that "what viewers see" is about; null: the one in the slot. */
  looked: string | null = null;
  /** Slots that the host named and that may show nothing yet. */
  private readonly named = new Set<string>([mainSlot]);
  private readonly listeners: (() => void)[] = [];

  onchange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Tells all listeners. */
  changed(): void {
    for (const listener of [...this.listeners]) listener();
  }

  get connected(): boolean {
    return this.link === 'open';
  }

  /** Whether something can be changed at this moment. */
  get changeable(): boolean {
    return this.connected && !this.readOnly;
  }

  get cards(): readonly CardView[] {
    return this.view?.cards ?? [];
  }

  card(id: string): CardView | undefined {
    return this.cards.find((card) => card.id === id);
  }

  /** What a slot shows. */
  shown(slot: string): SlotView | undefined {
    return this.view?.slots.find((shown) => shown.slot === slot);
  }

  /** The slots that show a card. */
  slotsOf(card: string): string[] {
    return (this.view?.slots ?? []).filter((shown) => shown.card === card).map(({ slot }) => slot);
  }

  /** All slots, those that show nothing included; the main one comes first. */
  get slots(): string[] {
    const used = [...(this.view?.slots ?? []), ...(this.view?.scheduled ?? [])].map(({ slot }) => slot);
    const names = new Set([...this.named, this.slot, ...used].filter((name) => name !== ''));
    names.delete(mainSlot);
    return [mainSlot, ...[...names].sort()];
  }

  /** Makes a slot the one that is acted on; a new name makes a new slot. */
  choose(slot: string): void {
    this.named.add(slot);
    this.slot = slot;
    this.looked = null;
    this.changed();
  }

  /** Waits until a view is there for which test holds; false when that takes longer than limit, ms. */
  reached(test: (view: View) => boolean, limit: number): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (reached: boolean) => {
        clearTimeout(timer);
        const at = this.listeners.indexOf(look);
        if (at >= 0) this.listeners.splice(at, 1);
        resolve(reached);
      };
      const look = () => {
        if (this.view && test(this.view)) done(true);
      };
      const timer = setTimeout(() => done(false), limit);
      this.listeners.push(look);
      look();
    });
  }
}
