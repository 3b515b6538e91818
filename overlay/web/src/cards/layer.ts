import type { Card } from '../../sdk';
import { node } from './node';
import { CardView, summary } from './view';
import type { CardWords } from './words';

/** How often countdowns are looked at; ms. */
const tickEvery = 250;
/** A card that goes is gone after this at the latest; ms. */
const leaveWithin = 400;
/** How many announcements stay for screen readers to read. */
const mostNews = 4;

/** CardLayer shows a stream's cards over its picture, one for each slot. */
export class CardLayer {
  private readonly views = new Map<string, CardView>();
  /** Where the cards of each slot go: the one that leaves and the one that comes lie over one another. */
  private readonly places = new Map<string, HTMLElement>();
  private readonly top = node('div', 'top');
  private readonly main = node('div', 'main');
  private readonly side = node('div', 'side');
  private readonly news = node('div', 'unseen', [], { role: 'status', 'aria-live': 'polite' });
  private announced = '';
  private timer: ReturnType<typeof setInterval> | undefined;

  /** date gives stream time. */
  constructor(
    root: HTMLElement,
    private readonly words: CardWords,
    private readonly date: () => Date,
  ) {
    root.append(node('div', 'layer', [this.top, node('div', 'bottom', [this.side, this.main])]), this.news);
  }

  /** Shows a card in a slot, in place of the one that is there. */
  show(slot: string, card: Card): void {
    let view = this.views.get(slot);
    if (!view) {
      view = new CardView(slot, this.words, this.date);
      this.views.set(slot, view);
      this.place(slot).append(view.element);
      this.announce(card);
    }
    view.show(card);
    this.timer ??= setInterval(() => this.tick(), tickEvery);
  }

  /** Empties a slot. */
  hide(slot: string): void {
    const view = this.views.get(slot);
    if (!view) return;
    this.views.delete(slot);
    leave(view.element);
    if (this.views.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private place(slot: string): HTMLElement {
    let place = this.places.get(slot);
    if (!place) {
      place = node('div', 'place');
      this.places.set(slot, place);
      (slot === 'banner' ? this.top : slot === 'main' ? this.main : this.side).append(place);
    }
    return place;
  }

  private tick(): void {
    for (const view of this.views.values()) view.tick();
  }

  /** Says once that a card has come. One that changes slots, or comes again after a seek, has been told of. */
  private announce(card: Card): void {
    if (this.announced === card.id) return;
    this.announced = card.id;
    this.news.append(summary(card, this.words));
    while (this.news.childElementCount > mostNews) this.news.firstElementChild?.remove();
  }
}

/** Takes a card off the page, at once where the viewer wants no motion. */
function leave(element: HTMLElement): void {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
    element.remove();
    return;
  }
  element.inert = true;
  element.dataset['leaving'] = 'true';
  const gone = () => element.remove();
  element.addEventListener('animationend', gone);
  setTimeout(gone, leaveWithin);
}
