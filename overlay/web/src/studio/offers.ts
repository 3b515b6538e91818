import { h } from './dom';
import type { Fields } from './fields';
import { emptyOffer, type OfferForm } from './form';
import { availabilities, type Availability } from './types';

/** One offer of the form. */
class OfferFields {
  readonly el: HTMLElement;
  private readonly read: () => OfferForm;

  constructor(fields: Fields, value: OfferForm, place: () => number, title: HTMLElement, remove: () => void) {
    const { s } = fields;
    const path = (key: string) => () => `offers[${place()}].${key}`;
    const price = fields.text(path('price'), s.price, value.price, { mode: 'decimal', placeholder: '19.99' });
    const currency = fields.text(path('priceCurrency'), s.currency, value.currency, {
      list: 'currencies',
      placeholder: 'EUR',
    });
    const prior = fields.text(path('pushcart:priorPrice'), s.priorPrice, value.priorPrice, {
      mode: 'decimal',
      hint: s.priorPriceHint,
    });
    const stock = fields.text(path('inventoryLevel'), s.stock, value.stock, { mode: 'numeric' });
    const words = availabilities.map((key) => [key, s.availability[key]] as const);
    const availability = fields.choice(path('availability'), s.availabilityLabel, value.availability, words);
    const eligible = fields.text(path('eligibleRegion'), s.eligible, value.eligible, {
      placeholder: 'DE, AT',
      hint: s.regionsHint,
    });
    const ineligible = fields.text(path('ineligibleRegion'), s.ineligible, value.ineligible);
    const url = fields.text(path('url'), s.offerURL, value.url, { type: 'url', placeholder: 'https://' });
    this.read = () => ({
      price: price.input.value,
      currency: currency.input.value,
      priorPrice: prior.input.value,
      stock: stock.input.value,
      availability: availability.input.value as Availability,
      eligible: eligible.input.value,
      ineligible: ineligible.input.value,
      url: url.input.value,
    });
    this.el = h(
      'fieldset',
      { class: 'group offer' },
      title,
      h('div', { class: 'pair' }, price.el, currency.el, stock.el),
      h('div', { class: 'pair' }, availability.el, prior.el),
      h('div', { class: 'pair' }, eligible.el, ineligible.el),
      url.el,
      h('button', { class: 'quiet danger', text: s.removeOffer, click: remove }),
    );
  }

  get value(): OfferForm {
    return this.read();
  }
}

/** Offers is the list of a card's prices. */
export class Offers {
  readonly el: HTMLElement;
  private list: { piece: OfferFields; title: HTMLElement }[] = [];
  private readonly box = h('div');

  constructor(
    private readonly fields: Fields,
    value: readonly OfferForm[],
    private readonly currency: string,
  ) {
    const { s } = fields;
    const add = h('button', { class: 'quiet', text: s.addOffer, click: () => this.more() });
    this.el = h('div', {}, this.box, add);
    for (const offer of value) this.add(offer);
  }

  get value(): OfferForm[] {
    return this.list.map(({ piece }) => piece.value);
  }

  /** Adds an empty one and lets the reader write in it. */
  private more(): void {
    this.add(emptyOffer(this.list.at(-1)?.piece.value.currency ?? this.currency))
      .el.querySelector('input')
      ?.focus();
  }

  private add(value: OfferForm): OfferFields {
    const title = h('legend');
    const entry = {} as { piece: OfferFields; title: HTMLElement };
    entry.title = title;
    entry.piece = new OfferFields(
      this.fields,
      value,
      () => this.list.indexOf(entry),
      title,
      () => {
        this.list = this.list.filter((other) => other !== entry);
        entry.piece.el.remove();
        this.count();
      },
    );
    this.list.push(entry);
    this.box.append(entry.piece.el);
    this.count();
    return entry.piece;
  }

  private count(): void {
    for (const [i, { title }] of this.list.entries()) title.textContent = this.fields.s.offer(i + 1);
  }
}
