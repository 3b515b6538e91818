import { gone, money, offSale, onSale, opened, pick, restocked, sold, withOffer } from './cards';
import { h, icon, write } from './dom';
import { saleLabel } from './strings';
import { commandButton, everySecond, type Studio } from './studio';
import { leftText, rfc3339 } from './times';
import type { Card, Offer } from './types';

/** Lengths that are one click away; minutes. */
const sales = [5, 10, 15];
const claims = [1, 3, 5];

/** QuickOffer changes the price and the stock of one offer of a card. */
class QuickOffer {
  readonly el: HTMLElement;
  private readonly price: HTMLInputElement;
  private readonly set: HTMLButtonElement;
  private readonly shownPrice = h('strong', { class: 'price' });
  private readonly stock = h('output', { class: 'stock' });
  private readonly state = h('span', { class: 'stock-words' });
  private readonly out: HTMLButtonElement;
  private readonly where = h('span', { class: 'hint' });
  private offer: Offer | null = null;
  /** Clicks on the stepper that are not acknowledged yet. */
  private pending = 0;

  constructor(
    private readonly studio: Studio,
    private readonly id: string,
    private readonly at: number,
  ) {
    const { s } = studio;
    const field = `quick-${id}-${at}`;
    this.price = h('input', { id: field, attributes: { inputmode: 'decimal', autocomplete: 'off', maxlength: '24' } });
    this.set = commandButton(studio, { text: s.setPrice, attributes: { type: 'submit' } }, () => this.setPrice());
    const form = h(
      'form',
      { class: 'quick-price' },
      h('label', { class: 'unseen', text: s.price, attributes: { for: field } }),
      this.price,
      this.set,
    );
    form.addEventListener('submit', (event) => event.preventDefault());
    const less = h(
      'button',
      { class: 'step', label: s.oneLess, data: { command: '' }, click: () => void this.step(-1) },
      icon('minus'),
    );
    const more = h(
      'button',
      { class: 'step', label: s.oneMore, data: { command: '' }, click: () => void this.step(1) },
      icon('add'),
    );
    this.out = commandButton(studio, { class: 'out' }, () => this.toggleSold());
    this.el = h(
      'div',
      { class: 'quick-offer' },
      h('div', { class: 'quick-line' }, h('div', { class: 'quick-now' }, this.shownPrice, ' ', this.where), form),
      h(
        'div',
        { class: 'quick-line' },
        h('div', { class: 'stepper', label: s.stock, attributes: { role: 'group' } }, less, this.stock, more),
        this.state,
        this.out,
      ),
    );
  }

  update(offer: Offer): void {
    const { s, lang } = this.studio;
    const untouched = this.offer === null || this.price.value.trim() === this.offer.price;
    this.offer = offer;
    if (untouched) this.price.value = offer.price;
    write(this.shownPrice, money(offer.price, offer.priceCurrency, lang));
    write(this.where, (offer.eligibleRegion ?? []).join(', '));
    const out = gone(offer);
    this.el.dataset['sold'] = String(out);
    write(this.out, out ? s.backInStock : s.soldOut);
    this.tellStock();
  }

  private tellStock(): void {
    const { s } = this.studio;
    const level = this.offer?.inventoryLevel;
    write(this.stock, level === undefined ? '–' : String(level));
    const words =
      this.pending !== 0
        ? s.saving(String(Math.max(0, (level ?? 0) + this.pending)))
        : level === undefined
          ? s.notCounted
          : '';
    write(
      this.state,
      this.offer && gone(this.offer) && words === '' ? s.availability[this.offer.availability ?? 'SoldOut'] : words,
    );
  }

  private setPrice(): Promise<boolean> {
    const price = this.price.value.trim();
    return this.edit(this.studio.s.priceChanged, (offer) => ({ ...offer, price }));
  }

  private async step(by: number): Promise<void> {
    if (!this.studio.store.changeable) return;
    const busy = this.pending !== 0;
    this.pending += by;
    this.tellStock();
    if (busy) return;
    while (this.pending !== 0) {
      const sent = this.pending;
      const done = await this.edit(this.studio.s.stockChanged, (offer) => restocked(offer, sent));
      // Clicks that came meanwhile are still to be sent, unless nothing can be.
      this.pending = done ? this.pending - sent : 0;
      this.tellStock();
    }
  }

  private toggleSold(): Promise<boolean> {
    const { s } = this.studio;
    const out = !(this.offer && gone(this.offer));
    return this.edit(out ? s.nowSoldOut : s.nowInStock, (offer) => sold(offer, out));
  }

  private edit(said: string, change: (offer: Offer) => Offer): Promise<boolean> {
    return this.studio.commands.quick(this.id, said, (card) => withOffer(card, this.at, change));
  }
}

/** Quick is what can be changed of a card while it is shown: prices, stock, flash sale, giveaway. */
export class Quick {
  readonly el = h('div', { class: 'quick' });
  private readonly offers: QuickOffer[] = [];
  private readonly offerBox = h('div', { class: 'quick-offers' });
  private readonly sale = h('span', { class: 'quick-words' });
  private readonly endSale: HTMLButtonElement;
  private readonly gift = h('span', { class: 'quick-words' });
  private readonly giftBox: HTMLElement;
  private readonly closeGift: HTMLButtonElement;
  private readonly coupon = h('p', { class: 'quick-words' });
  private card: Card | null = null;

  constructor(
    private readonly studio: Studio,
    private readonly id: string,
  ) {
    const { s, clock } = studio;
    this.endSale = commandButton(studio, { text: s.endNow }, () => this.edit(s.saleEnded, offSale));
    const begin = sales.map((minutes) => commandButton(studio, { text: s.minutes(minutes) }, () => this.startSale(minutes)));
    const open = claims.map((minutes) => commandButton(studio, { text: s.minutes(minutes) }, () => this.openGift(minutes)));
    this.closeGift = commandButton(studio, { text: s.closeNow }, () => this.shutGift());
    this.giftBox = this.group(s.giveaway, this.gift, [...open, this.closeGift]);
    this.el.append(this.offerBox, this.group(s.flashSale, this.sale, [...begin, this.endSale]), this.giftBox, this.coupon);
    everySecond(
      this.el,
      () => clock.now(),
      () => this.tick(),
    );
  }

  update(card: Card): void {
    this.card = card;
    const offers = card.offers ?? [];
    if (offers.length !== this.offers.length) {
      this.offers.splice(0, Infinity, ...offers.map((_, i) => new QuickOffer(this.studio, this.id, i)));
      this.offerBox.replaceChildren(...this.offers.map(({ el }) => el));
    }
    for (const [i, offer] of offers.entries()) this.offers[i]?.update(offer);
    this.giftBox.hidden = card['pushcart:giveaway'] === undefined;
    this.tick();
  }

  private group(title: string, words: HTMLElement, buttons: HTMLElement[]): HTMLElement {
    const head = h('div', { class: 'quick-head' }, h('h4', { text: title }), words);
    return h('div', { class: 'quick-group' }, head, h('div', { class: 'choices' }, ...buttons));
  }

  private tick(): void {
    const { card } = this;
    if (!card) return;
    const { s, lang, clock } = this.studio;
    const now = clock.now();
    const promotion = card['pushcart:promotion'];
    this.endSale.hidden = promotion === undefined;
    const starts = Date.parse(promotion?.startsAt ?? '') || 0;
    const ends = Date.parse(promotion?.endsAt ?? '');
    if (!promotion) write(this.sale, '');
    else if (now < starts) write(this.sale, s.saleIn(leftText(starts - now)));
    else write(this.sale, now < ends ? s.saleFor(leftText(ends - now)) : s.saleOver);
    this.tickGift(now);
    const coupon = card['pushcart:coupon'];
    write(this.coupon, coupon ? `${s.coupon}: ${coupon.code} (${pick(coupon.label, lang)})` : '');
  }

  private tickGift(now: number): void {
    const { s } = this.studio;
    const giveaway = this.card?.['pushcart:giveaway'];
    if (!giveaway) return;
    const [from, to] = [Date.parse(giveaway.opensAt), Date.parse(giveaway.closesAt)];
    this.closeGift.hidden = now < from || now >= to;
    write(
      this.gift,
      now < from ? s.giveawayIn(leftText(from - now)) : now < to ? s.giveawayFor(leftText(to - now)) : s.giveawayOver,
    );
  }

  private startSale(minutes: number): Promise<boolean> {
    const { s, clock } = this.studio;
    const ends = rfc3339(Math.round(clock.now() / 1000 + minutes * 60) * 1000);
    return this.edit(s.saleStarted(s.minutes(minutes)), (card) => onSale(card, saleLabel, ends));
  }

  private openGift(minutes: number): Promise<boolean> {
    const { s, clock } = this.studio;
    const now = Math.floor(clock.now() / 1000) * 1000;
    return this.edit(s.giveawayOpened(s.minutes(minutes)), (card) =>
      opened(card, rfc3339(now), rfc3339(now + minutes * 60_000)),
    );
  }

  private shutGift(): Promise<boolean> {
    const now = rfc3339(Math.floor(this.studio.clock.now() / 1000) * 1000);
    return this.edit(this.studio.s.giveawayClosed, (card) => opened(card, card['pushcart:giveaway']?.opensAt ?? now, now));
  }

  private edit(said: string, change: (card: Card) => Card): Promise<boolean> {
    return this.studio.commands.quick(this.id, said, change);
  }
}
