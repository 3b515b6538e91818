import { Failure } from './api';
import { freeID, pick } from './cards';
import { sentence } from './commands';
import { ask, Sheet } from './dialogs';
import { h, write } from './dom';
import { Fields, Texts } from './fields';
import { emptyOffer, toCard, toForm, type CardForm } from './form';
import { label } from './labels';
import { rebase, same } from './merge';
import { Offers } from './offers';
import { commandButton, type Studio } from './studio';
import type { Card, CardView } from './types';

/** A part of the form that is there or not, such as a promotion. */
function optional(title: string, on: boolean, ...content: HTMLElement[]): { el: HTMLElement; input: HTMLInputElement } {
  const input = h('input', { attributes: { type: 'checkbox' } });
  const box = h('div', { class: 'optional' }, ...content);
  input.checked = on;
  box.hidden = !on;
  input.addEventListener('change', () => (box.hidden = !input.checked));
  return { el: h('div', { class: 'group' }, h('label', { class: 'check' }, input, h('span', { text: title })), box), input };
}

/** A fold of the form; open when there is something in it. */
function fold(title: string, open: boolean, ...content: HTMLElement[]): HTMLElement {
  const details = h('details', { class: 'fold' }, h('summary', { text: title }), ...content);
  details.open = open;
  return details;
}

/** Editor is the form of a card: one that is on the list, or a new one. */
class Editor {
  private readonly sheet: Sheet;
  private readonly fields: Fields;
  private readonly error = h('p', { class: 'error whole', attributes: { role: 'alert', tabindex: '-1' } });
  private readonly begun: CardForm;
  private read: () => CardForm = () => this.begun;

  constructor(
    private readonly studio: Studio,
    title: string,
    card: Card,
    /** The card on the list; null makes a new one. */
    private readonly base: CardView | null,
  ) {
    const { s } = studio;
    this.sheet = new Sheet(s, title, 'editor');
    this.fields = new Fields(s);
    this.sheet.mayClose = () => this.mayClose();
    const filled = toForm(card, studio.lang);
    if (!base && filled.offers.length === 0)
      filled.offers.push(emptyOffer(studio.store.cards[0]?.card.offers?.[0]?.priceCurrency ?? ''));
    this.sheet.body.append(this.form(filled));
    this.sheet.foot.append(
      this.error,
      h('button', { text: s.cancel, click: () => void this.mayClose().then((yes) => yes && this.sheet.close()) }),
      commandButton(studio, { class: 'primary', text: s.save, attributes: { type: 'submit', form: 'card-form' } }, () =>
        this.save(),
      ),
    );
    this.begun = this.read();
  }

  open(): void {
    this.sheet.open();
    this.sheet.body.querySelector<HTMLElement>('.texts .field :is(input, textarea)')?.focus();
  }

  /** Builds the form; read collects what is in it. */
  private form(value: CardForm): HTMLElement {
    const { fields, base } = this;
    const { s } = fields;
    const plain = (path: string, title: string, text: string, options = {}) => fields.text(() => path, title, text, options);
    const name = new Texts(fields, 'name', s.name, value.name);
    const description = new Texts(fields, 'description', s.description, value.description, 3);
    const id = plain('id', s.id, value.id, { hint: base ? s.idFixed : s.idHint });
    (id.input as HTMLInputElement).readOnly = base !== null;
    if (!base) this.suggest(name, id.input);
    const image = plain('image', s.image, value.image, { type: 'url', placeholder: 'https://', hint: s.urlHint });
    const url = plain('url', s.url, value.url, { type: 'url', placeholder: 'https://' });
    const brand = plain('brand', s.brand, value.brand);
    const sku = plain('sku', s.sku, value.sku);
    const gtin = plain('gtin', s.gtin, value.gtin, { mode: 'numeric' });
    const offers = new Offers(fields, value.offers, value.offers[0]?.currency ?? '');
    const eligible = plain('eligibleRegion', s.eligible, value.eligible, { placeholder: 'DE, AT', hint: s.regionsHint });
    const ineligible = plain('ineligibleRegion', s.ineligible, value.ineligible, { placeholder: 'US' });
    const disclosure = new Texts(fields, 'pushcart:disclosure', s.disclosure, value.disclosure);
    const sale = this.sale(value.promotion);
    const coupon = this.coupon(value.coupon);
    const gift = this.giveaway(value.giveaway);
    this.read = () => ({
      id: id.input.value,
      name: name.value,
      description: description.value,
      image: image.input.value,
      url: url.input.value,
      brand: brand.input.value,
      sku: sku.input.value,
      gtin: gtin.input.value,
      offers: offers.value,
      eligible: eligible.input.value,
      ineligible: ineligible.input.value,
      promotion: sale.read(),
      coupon: coupon.read(),
      giveaway: gift.read(),
      disclosure: disclosure.value,
    });
    const regions = value.eligible !== '' || value.ineligible !== '';
    const form = h(
      'form',
      { id: 'card-form', class: 'product-form', attributes: { novalidate: '' } },
      name.el,
      image.el,
      url.el,
      h('h3', { text: s.offers }),
      offers.el,
      fold(s.details, !base, id.el, description.el, h('div', { class: 'pair' }, brand.el, sku.el, gtin.el)),
      fold(s.promotions, value.promotion.on || value.coupon.on || value.giveaway.on, sale.el, coupon.el, gift.el),
      fold(
        s.rules,
        regions || value.disclosure.length > 0,
        h('p', { class: 'hint', text: s.cardRegions }),
        h('div', { class: 'pair' }, eligible.el, ineligible.el),
        disclosure.el,
      ),
    );
    form.addEventListener('submit', (event) => event.preventDefault());
    return form;
  }

  private sale(value: CardForm['promotion']): { el: HTMLElement; read: () => CardForm['promotion'] } {
    const { fields } = this;
    const { s } = fields;
    const at = 'pushcart:promotion';
    const label = new Texts(fields, `${at}.label`, s.labelText, value.label);
    const starts = fields.text(() => `${at}.startsAt`, s.startsAt, value.startsAt, { type: 'datetime-local' });
    const ends = fields.text(() => `${at}.endsAt`, s.endsAt, value.endsAt, { type: 'datetime-local' });
    const part = optional(s.flashSale, value.on, label.el, h('div', { class: 'pair' }, starts.el, ends.el));
    return {
      el: part.el,
      read: () => ({ on: part.input.checked, label: label.value, startsAt: starts.input.value, endsAt: ends.input.value }),
    };
  }

  private coupon(value: CardForm['coupon']): { el: HTMLElement; read: () => CardForm['coupon'] } {
    const { fields } = this;
    const { s } = fields;
    const at = 'pushcart:coupon';
    const code = fields.text(() => `${at}.code`, s.code, value.code);
    const label = new Texts(fields, `${at}.label`, s.labelText, value.label);
    const ends = fields.text(() => `${at}.endsAt`, s.endsAt, value.endsAt, { type: 'datetime-local' });
    const part = optional(s.coupon, value.on, h('div', { class: 'pair' }, code.el, ends.el), label.el);
    return {
      el: part.el,
      read: () => ({ on: part.input.checked, code: code.input.value, label: label.value, endsAt: ends.input.value }),
    };
  }

  private giveaway(value: CardForm['giveaway']): { el: HTMLElement; read: () => CardForm['giveaway'] } {
    const { fields } = this;
    const { s } = fields;
    const at = 'pushcart:giveaway';
    const label = new Texts(fields, `${at}.label`, s.labelText, value.label);
    const opens = fields.text(() => `${at}.opensAt`, s.opensAt, value.opensAt, { type: 'datetime-local' });
    const closes = fields.text(() => `${at}.closesAt`, s.closesAt, value.closesAt, { type: 'datetime-local' });
    const quantity = fields.text(() => `${at}.quantity`, s.quantity, value.quantity, { mode: 'numeric' });
    const url = fields.text(() => `${at}.url`, s.claimURL, value.url, { type: 'url', placeholder: 'https://' });
    const times = h('div', { class: 'pair' }, opens.el, closes.el);
    const part = optional(s.giveaway, value.on, label.el, times, h('div', { class: 'pair' }, quantity.el, url.el));
    return {
      el: part.el,
      read: () => ({
        on: part.input.checked,
        label: label.value,
        opensAt: opens.input.value,
        closesAt: closes.input.value,
        quantity: quantity.input.value,
        url: url.input.value,
      }),
    };
  }

  /** Makes the identifier from the name for as long as nobody writes one. */
  private suggest(name: Texts, id: HTMLInputElement | HTMLTextAreaElement): void {
    let own = id.value !== '';
    const taken = this.studio.store.cards.map((card) => card.id);
    id.addEventListener('input', () => (own = id.value !== ''));
    name.el.addEventListener('input', () => {
      if (!own) id.value = name.first.trim() === '' ? '' : freeID(name.first, taken);
    });
  }

  private async save(): Promise<void> {
    const { s, commands, notices, lang } = this.studio;
    const { card, mistakes } = toCard(this.read(), this.base?.card);
    this.fields.clear();
    write(this.error, '');
    const [first] = mistakes;
    if (first) {
      for (const mistake of [...mistakes].reverse()) this.complain(mistake.field, s.mistakes[mistake.what]);
      return;
    }
    try {
      const outcome = this.base ? await commands.edit(this.base, this.onto(this.base.card, card)) : await this.create(card);
      if (outcome === 'kept') return;
      if (outcome === 'done') notices.say(s.isSaved(pick(card.name, lang)));
      this.sheet.close();
    } catch (error) {
      // A new card whose identifier is taken: that is a matter of this field.
      const taken = error instanceof Failure && error.status === 412 && !this.base;
      this.complain(taken ? 'id' : error instanceof Failure ? error.field : '', sentence(error, s));
    }
  }

  private async create(card: Card): Promise<'done'> {
    await this.studio.commands.put(card, true);
    return 'done';
  }

  /** What the form says, put on top of whatever the card is by now. */
  private onto(base: Card, mine: Card): (now: Card) => Card {
    return (now) => rebase(base, mine, now);
  }

  /** Says what is wrong: at the field if the form has it, else at the end. */
  private complain(field: string, what: string): void {
    const { s } = this.studio;
    if (field !== '' && this.fields.fail(field, what)) return;
    write(this.error, field === '' ? what : `${label(field, s)}: ${what}`);
    this.error.focus();
  }

  private async mayClose(): Promise<boolean> {
    const { s } = this.studio;
    if (same(this.read(), this.begun)) return true;
    return ask(s, s.discardTitle, [h('p', { text: s.discardWhat })], s.discard, s.keepEditing, true);
  }
}

/** Opens the form for a card of the list. */
export function editCard(studio: Studio, view: CardView): void {
  new Editor(studio, studio.s.editTitle(pick(view.card.name, studio.lang)), view.card, view).open();
}

/** Opens the form for a new card; like, for a copy. */
export function addCard(studio: Studio, like?: Card): void {
  const { s, lang, store } = studio;
  if (!like) {
    new Editor(studio, s.add, { id: '', name: '' }, null).open();
    return;
  }
  const taken = store.cards.map(({ id }) => id);
  const copy = { ...like, id: freeID(like.id, taken) };
  new Editor(studio, s.copyTitle(pick(like.name, lang)), copy, null).open();
}
