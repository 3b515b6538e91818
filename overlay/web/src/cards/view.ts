import { https, type Card, type Coupon, type Giveaway, type Price, type Promotion, type Text } from '../../sdk';
import { left } from './clock';
import { copy } from './copy';
import { node, ourWords, written } from './node';
import type { CardWords } from './words';

/** How long "copied" stands in place of "copy"; ms. */
const copiedFor = 2000;
/** Fewer than this are worth a word; more is no news. */
const fewLeft = 10;

/** What changes with stream time: called with it about four times a second. */
type Tick = (now: Date) => void;

/**
 * CardView is one card on the page. Slot decides by style alone how much of it is seen: main is a product card, offer a
 * coupon or giveaway, banner one line.
 */
export class CardView {
  readonly element = document.createElement('article');
  private ticks: Tick[] = [];

  /** date gives stream time. */
  constructor(
    readonly slot: string,
    private readonly words: CardWords,
    private readonly date: () => Date,
  ) {
    this.element.className = 'card';
    this.element.dataset['slot'] = slot;
  }

  /** Shows a card in place of what was there. The viewer's place on it stays. */
  show(card: Card): void {
    const { element } = this;
    const focused = element.contains(document.activeElement) ? document.activeElement?.className : undefined;
    const { lang, dir } = card.name;
    if (lang === '') element.removeAttribute('lang');
    else element.lang = lang;
    element.dir = dir;
    element.dataset['card'] = card.id;
    element.dataset['rev'] = String(card.rev);
    element.ariaLabel = card.name.text;
    this.ticks = [];
    element.replaceChildren(...this.parts(card));
    this.tick();
    if (focused) [...element.querySelectorAll<HTMLElement>('a, button')].find((part) => part.className === focused)?.focus();
  }

  /** Brings countdowns up to date. */
  tick(): void {
    const now = this.date();
    for (const tick of this.ticks) tick(now);
  }

  private parts(card: Card): Node[] {
    const text = (tag: 'p' | 'h2', part: string, value: Text | null) =>
      value && node(tag, part, [value.text], written(value));
    const body = node('div', 'body', [
      text('p', 'disclosure', card.disclosure),
      text('h2', 'name', card.name),
      text('p', 'description', card.description),
      this.prices(card),
      this.stock(card),
      card.promotion && this.promotion(card.promotion),
      card.coupon && this.coupon(card.coupon),
      card.giveaway && this.giveaway(card.giveaway),
    ]);
    const parts: (Node | null)[] = [this.image(card), body, this.link('open', this.words.open, card.url)];
    return parts.filter((part) => part !== null);
  }

  private image({ image }: Card): Node | null {
    const src = https(image);
    if (!src) return null;
    // The name stands beside it: there is nothing to add for who does not see it.
    const made = node('img', 'image', [], { alt: '', referrerpolicy: 'no-referrer', decoding: 'async' });
    made.addEventListener('error', () => made.remove());
    made.src = src;
    return made;
  }

  private prices({ price, priorPrice }: Card): Node | null {
    if (!price) return null;
    const amount = (tag: 'strong' | 's', part: string, value: Price) => node(tag, part, [value.text], written(value));
    const prior = priorPrice
      ? [amount('s', 'prior', priorPrice), node('small', 'prior-words', [this.words.prior], ourWords(this.words.lang))]
      : [];
    return node('p', 'prices', [amount('strong', 'price', price), ...prior]);
  }

  private stock({ availability, inventoryLevel }: Card): Node | null {
    const { words } = this;
    const few = inventoryLevel !== null && inventoryLevel > 0 && inventoryLevel < fewLeft;
    const count = () => new Intl.NumberFormat(words.lang).format(inventoryLevel ?? 0);
    const said =
      availability === 'SoldOut' || (availability !== 'PreOrder' && inventoryLevel === 0)
        ? words.soldOut
        : availability === 'OutOfStock'
          ? words.outOfStock
          : few
            ? words.only(count(), inventoryLevel !== 1)
            : availability === 'PreOrder'
              ? words.preOrder
              : availability === 'LimitedAvailability'
                ? words.limited
                : null;
    return said === null ? null : node('p', 'stock', [said], ourWords(words.lang));
  }

  private promotion({ label, startsAt, endsAt }: Promotion): Node {
    const [line, say] = this.timed('promotion', label);
    this.ticks.push((now) => {
      const { startsIn, endsIn, over } = this.words;
      if (startsAt && now < startsAt) say(startsIn, startsAt, now, 'before');
      else if (now < endsAt) say(endsIn, endsAt, now, 'on');
      else say(over, null, now, 'over');
    });
    return line;
  }

  private coupon({ code, label, endsAt }: Coupon): Node {
    const { words } = this;
    const shown = node('code', 'code', [code], { dir: 'ltr', translate: 'no' });
    const button = node('button', 'copy', [words.copy], { type: 'button', ...ourWords(words.lang) });
    button.addEventListener('click', () => {
      void copy(code, shown).then((done) => {
        if (!done) return;
        button.textContent = words.copied;
        setTimeout(() => (button.textContent = words.copy), copiedFor);
      });
    });
    const [line, say] = this.timed('coupon-label', label);
    if (endsAt) this.ticks.push((now) => (now < endsAt ? say(words.endsIn, endsAt, now, 'on') : say(words.over, null, now, 'over')));
    return node('div', 'coupon', [label || endsAt ? line : null, shown, button]);
  }

  private giveaway({ label, opensAt, closesAt, url }: Giveaway): Node {
    const { opensIn, closesIn, closed, claim } = this.words;
    const [line, say] = this.timed('giveaway-label', label);
    const link = this.link('claim', claim, url);
    this.ticks.push((now) => {
      const open = now >= opensAt && now < closesAt;
      if (now < opensAt) say(opensIn, opensAt, now, 'before');
      else if (open) say(closesIn, closesAt, now, 'on');
      else say(closed, null, now, 'over');
      if (link) link.hidden = !open;
    });
    return node('div', 'giveaway', [line, link]);
  }

  /**
   * A line with a label and a clock, and what sets the clock: words, the moment that is counted to, stream time, and which
   * of its times it is. Seconds are not read out as they pass.
   */
  private timed(part: string, label: Text | null): [HTMLElement, (words: string, until: Date | null, now: Date, phase: string) => void] {
    const { lang } = this.words;
    const said = node('span', 'when', [], ourWords(lang));
    const clock = node('span', 'clock', [], { dir: 'ltr', role: 'timer', 'aria-live': 'off' });
    const line = node('p', part, [label && node('span', 'label', [label.text], written(label)), said, clock]);
    const say = (words: string, until: Date | null, now: Date, phase: string) => {
      const rest = until ? left(until, now, lang) : '';
      if (said.textContent !== words) said.textContent = words;
      if (clock.textContent !== rest) clock.textContent = rest;
      line.dataset['phase'] = phase;
    };
    return [line, say];
  }

  private link(part: string, words: string, url: string | null): HTMLAnchorElement | null {
    const href = https(url);
    if (!href) return null;
    const attributes = { href, target: '_blank', rel: 'noopener noreferrer', ...ourWords(this.words.lang) };
    return node('a', part, [words, node('span', 'unseen', [` (${this.words.newTab})`])], attributes);
  }
}

/** What is read out when a card comes: what it is and what it costs, each in its language. */
export function summary(card: Card, words: CardWords): HTMLElement {
  const said = (text: Text | null) => (text ? [node('span', 'said', [text.text], written(text)), ' '] : []);
  const prior = card.priorPrice
    ? [node('span', 'said', [words.prior], ourWords(words.lang)), ' ', ...said(card.priorPrice)]
    : [];
  return node('p', 'news', [...said(card.disclosure), ...said(card.name), ...said(card.price), ...prior]);
}
