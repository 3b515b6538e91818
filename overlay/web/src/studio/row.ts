import { money, pick, soldOut } from './cards';
import { h, icon, write } from './dom';
import { commandButton, everySecond, type Studio } from './studio';
import { leftText } from './times';
import type { Card, CardView } from './types';

/** What a row lets its reader do. */
export interface RowActions {
  edit(id: string): void;
  menu(id: string): void;
}

/** A small picture; where there is none, or it does not load, the first letter stands in its place. */
export class Thumb {
  readonly el = h('span', { class: 'thumb', attributes: { 'aria-hidden': 'true' } });
  private shown = '';

  show(url: string | undefined, name: string): void {
    const shown = JSON.stringify([url, name]);
    if (shown === this.shown) return;
    this.shown = shown;
    const letter = h('span', { text: [...name][0] ?? '' });
    this.el.replaceChildren(letter);
    if (url === undefined) return;
    const image = h('img', { attributes: { alt: '', loading: 'lazy', referrerpolicy: 'no-referrer', src: url } });
    image.addEventListener('load', () => letter.remove());
    image.addEventListener('error', () => image.remove());
    this.el.append(image);
  }
}

/** What is to know about a card's price and stock, in one line. */
export function summary(card: Card, { s, lang }: Studio): string {
  const [first, ...more] = card.offers ?? [];
  if (!first) return s.noOffer;
  const parts = [money(first.price, first.priceCurrency, lang)];
  if (more.length > 0) parts.push(s.moreOffers(more.length));
  if (soldOut(card)) parts.push(s.soldOut);
  else if (first.inventoryLevel !== undefined) parts.push(s.left(first.inventoryLevel));
  return parts.join(' · ');
}

/** What is special about a card at a moment: its flash sale, coupon and giveaway. */
export function extras(card: Card, s: Studio['s'], now: number): string[] {
  const words: string[] = [];
  const promotion = card['pushcart:promotion'];
  const coupon = card['pushcart:coupon'];
  const giveaway = card['pushcart:giveaway'];
  if (promotion) {
    const [from, to] = [Date.parse(promotion.startsAt ?? '') || 0, Date.parse(promotion.endsAt)];
    if (now < from) words.push(s.saleIn(leftText(from - now)));
    else if (now < to) words.push(s.saleFor(leftText(to - now)));
  }
  if (coupon && !(Date.parse(coupon.endsAt ?? '') < now)) words.push(coupon.code);
  if (giveaway) {
    const [from, to] = [Date.parse(giveaway.opensAt), Date.parse(giveaway.closesAt)];
    if (now < from) words.push(s.giveawayIn(leftText(from - now)));
    else if (now < to) words.push(s.giveawayFor(leftText(to - now)));
  }
  return words;
}

/** Row is a card in the list. */
export class Row {
  readonly el: HTMLLIElement;
  readonly handle: HTMLButtonElement;
  private readonly key = h('kbd', { class: 'key' });
  private readonly thumb = new Thumb();
  private readonly name = h('span', { class: 'row-name', attributes: { dir: 'auto' } });
  private readonly about = h('span', { class: 'row-about' });
  private readonly extra = h('span', { class: 'row-extra' });
  private readonly badge = h('span', { class: 'on-air' });
  private readonly show: HTMLButtonElement;
  private readonly more: HTMLButtonElement;
  private readonly open: HTMLButtonElement;
  private card: Card | null = null;

  constructor(
    private readonly studio: Studio,
    readonly id: string,
    actions: RowActions,
  ) {
    const { s, clock } = studio;
    this.handle = h('button', { class: 'handle' }, icon('grip'));
    this.open = h('button', { class: 'row-open', click: () => actions.edit(id) }, this.name, this.about, this.extra);
    this.show = commandButton(studio, { class: 'show' }, () => this.toggle());
    this.more = h('button', { class: 'small', title: s.more, click: () => actions.menu(id) }, icon('more'));
    const facts = h('div', { class: 'row-facts' }, this.badge, this.open);
    this.el = h(
      'li',
      { class: 'row', data: { card: id } },
      this.handle,
      this.thumb.el,
      this.key,
      facts,
      this.more,
      this.show,
    );
    everySecond(
      this.el,
      () => clock.now(),
      () => this.tick(),
    );
  }

  /** Shows the card as it is; place counts from 0. */
  update(view: CardView, place: number, sortable: boolean): void {
    const { s, lang, store } = this.studio;
    const name = pick(view.card.name, lang);
    const slots = store.slotsOf(this.id);
    const here = slots.includes(store.slot);
    this.card = view.card;
    write(this.name, name);
    write(this.about, summary(view.card, this.studio));
    this.thumb.show(view.card.image, name);
    this.tick();
    write(this.key, place < 9 ? String(place + 1) : '');
    this.handle.hidden = !sortable;
    this.handle.setAttribute('aria-label', s.moveCard(name, place + 1, store.cards.length));
    this.more.setAttribute('aria-label', s.moreOf(name));
    this.open.title = s.edit;
    write(this.badge, slots.length === 0 ? '' : s.onAirIn(slots.join(', ')));
    this.el.dataset['air'] = slots.length === 0 ? 'no' : here ? 'here' : 'elsewhere';
    write(this.show, here ? s.hide : s.show);
    this.show.setAttribute('aria-label', here ? s.hideCard(name, store.slot) : s.showCard(name, store.slot));
  }

  private toggle(): Promise<boolean> {
    const { commands, store } = this.studio;
    const here = store.shown(store.slot)?.card === this.id;
    return here ? commands.hide(store.slot) : commands.show(store.slot, this.id);
  }

  private tick(): void {
    if (this.card) write(this.extra, extras(this.card, this.studio.s, this.studio.clock.now()).join(' · '));
  }
}
