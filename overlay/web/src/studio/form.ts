import { fromLocal, toLocal } from './times';
import type { Availability, Card, Coupon, Giveaway, Offer, Promotion, Text } from './types';

/** A text in one language, as the form has it; without a language it is for all. */
export interface TextRow {
  lang: string;
  text: string;
}

/** An offer as the form has it: everything is text. */
export interface OfferForm {
  price: string;
  currency: string;
  priorPrice: string;
  availability: Availability;
  stock: string;
  eligible: string;
  ineligible: string;
  url: string;
}

/** A card as the form has it. */
export interface CardForm {
  id: string;
  name: TextRow[];
  description: TextRow[];
  image: string;
  url: string;
  brand: string;
  sku: string;
  gtin: string;
  offers: OfferForm[];
  eligible: string;
  ineligible: string;
  promotion: { on: boolean; label: TextRow[]; startsAt: string; endsAt: string };
  coupon: { on: boolean; code: string; label: TextRow[]; endsAt: string };
  giveaway: { on: boolean; label: TextRow[]; opensAt: string; closesAt: string; quantity: string; url: string };
  disclosure: TextRow[];
}

/** What a form says that cannot be put into a document at all; everything else is for the node to judge. */
export interface Mistake {
  readonly field: string;
  readonly what: 'required' | 'id' | 'language' | 'twice' | 'whole' | 'time';
}

/** The rows of a text; those in the language first come first. */
function rows(text: Text | undefined, first: string): TextRow[] {
  if (text === undefined) return [];
  if (typeof text === 'string') return [{ lang: '', text }];
  const other = ({ lang }: TextRow) => Number(lang.split('-')[0] !== first);
  return Object.entries(text)
    .map(([lang, words]) => ({ lang, text: words }))
    .sort((a, b) => other(a) - other(b));
}

export function emptyOffer(currency: string): OfferForm {
  return { price: '', currency, priorPrice: '', availability: 'InStock', stock: '', eligible: '', ineligible: '', url: '' };
}

function offerForm(offer: Offer): OfferForm {
  return {
    price: offer.price,
    currency: offer.priceCurrency,
    priorPrice: offer['pushcart:priorPrice'] ?? '',
    availability: offer.availability ?? 'InStock',
    stock: offer.inventoryLevel === undefined ? '' : String(offer.inventoryLevel),
    eligible: (offer.eligibleRegion ?? []).join(', '),
    ineligible: (offer.ineligibleRegion ?? []).join(', '),
    url: offer.url ?? '',
  };
}

/** The form that shows a card to a reader of a language. */
export function toForm(card: Card, lang = ''): CardForm {
  const texts = (text: Text | undefined) => rows(text, lang);
  const promotion = card['pushcart:promotion'];
  const coupon = card['pushcart:coupon'];
  const giveaway = card['pushcart:giveaway'];
  return {
    id: card.id,
    name: texts(card.name),
    description: texts(card.description),
    image: card.image ?? '',
    url: card.url ?? '',
    brand: card.brand ?? '',
    sku: card.sku ?? '',
    gtin: card.gtin ?? '',
    offers: (card.offers ?? []).map(offerForm),
    eligible: (card.eligibleRegion ?? []).join(', '),
    ineligible: (card.ineligibleRegion ?? []).join(', '),
    promotion: {
      on: promotion !== undefined,
      label: texts(promotion?.label),
      startsAt: toLocal(promotion?.startsAt),
      endsAt: toLocal(promotion?.endsAt),
    },
    coupon: {
      on: coupon !== undefined,
      code: coupon?.code ?? '',
      label: texts(coupon?.label),
      endsAt: toLocal(coupon?.endsAt),
    },
    giveaway: {
      on: giveaway !== undefined,
      label: texts(giveaway?.label),
      opensAt: toLocal(giveaway?.opensAt),
      closesAt: toLocal(giveaway?.closesAt),
      quantity: giveaway?.quantity === undefined ? '' : String(giveaway.quantity),
      url: giveaway?.url ?? '',
    },
    disclosure: texts(card['pushcart:disclosure']),
  };
}

/** The regions in a text that lists them in any way. */
export function regions(text: string): string[] {
  return text
    .toUpperCase()
    .split(/[\s,;]+/)
    .filter((code) => code !== '');
}

/** A card's document under construction: what the form leaves empty is not in it. */
class Builder {
  readonly mistakes: Mistake[] = [];

  text(field: string, list: readonly TextRow[]): Text | undefined {
    const said = list.map(({ lang, text }) => ({ lang: lang.trim(), text: text.trim() })).filter(({ text }) => text !== '');
    const [first] = said;
    if (!first) return undefined;
    if (said.length === 1 && first.lang === '') return first.text;
    const map: Record<string, string> = {};
    for (const { lang, text } of said) {
      if (lang === '') this.mistakes.push({ field, what: 'language' });
      else if (Object.hasOwn(map, lang)) this.mistakes.push({ field: `${field}.${lang}`, what: 'twice' });
      else map[lang] = text;
    }
    return map;
  }

  required<T>(field: string, value: T | undefined): T | undefined {
    if (value === undefined) this.mistakes.push({ field, what: 'required' });
    return value;
  }

  id(text: string): string | undefined {
    const id = this.required('id', filled(text));
    // It is part of the address that the card is sent to.
    if (id !== undefined && !/^[a-z0-9][a-z0-9_-]{0,39}$/.test(id)) this.mistakes.push({ field: 'id', what: 'id' });
    return id;
  }

  whole(field: string, text: string): number | undefined {
    const trimmed = text.trim();
    if (trimmed === '') return undefined;
    if (!/^[0-9]{1,15}$/.test(trimmed)) this.mistakes.push({ field, what: 'whole' });
    return Number(trimmed);
  }

  /** A time; one that the host has not touched stays as it was written, whatever the form cannot show of it. */
  time(field: string, local: string, before: string | undefined): string | undefined {
    if (local === '') return undefined;
    if (before !== undefined && toLocal(before) === local) return before;
    const time = fromLocal(local) ?? undefined;
    if (time === undefined) this.mistakes.push({ field, what: 'time' });
    return time;
  }
}

function filled(text: string): string | undefined {
  const trimmed = text.trim();
  return trimmed === '' ? undefined : trimmed;
}

function list(text: string): string[] | undefined {
  const codes = regions(text);
  return codes.length === 0 ? undefined : codes;
}

/** The object without the keys that have no value; whether it has all that it needs is for the node to say. */
function present<T extends object>(object: { [K in keyof T]-?: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

function offer(b: Builder, form: OfferForm, field: string, before: Offer | undefined): Offer {
  const usual = form.availability === 'InStock' && before?.availability === undefined;
  return present<Offer>({
    price: form.price.trim(),
    priceCurrency: form.currency.trim().toUpperCase(),
    availability: usual ? undefined : form.availability,
    inventoryLevel: b.whole(`${field}.inventoryLevel`, form.stock),
    eligibleRegion: list(form.eligible),
    ineligibleRegion: list(form.ineligible),
    url: filled(form.url),
    'pushcart:priorPrice': filled(form.priorPrice),
  });
}

function promotion(b: Builder, form: CardForm['promotion'], before: Promotion | undefined): Promotion | undefined {
  if (!form.on) return undefined;
  const at = 'pushcart:promotion';
  return present<Promotion>({
    label: b.text(`${at}.label`, form.label),
    startsAt: b.time(`${at}.startsAt`, form.startsAt, before?.startsAt),
    endsAt: b.time(`${at}.endsAt`, form.endsAt, before?.endsAt),
  });
}

function coupon(b: Builder, form: CardForm['coupon'], before: Coupon | undefined): Coupon | undefined {
  if (!form.on) return undefined;
  const at = 'pushcart:coupon';
  return present<Coupon>({
    code: filled(form.code),
    label: b.text(`${at}.label`, form.label),
    endsAt: b.time(`${at}.endsAt`, form.endsAt, before?.endsAt),
  });
}

function giveaway(b: Builder, form: CardForm['giveaway'], before: Giveaway | undefined): Giveaway | undefined {
  if (!form.on) return undefined;
  const at = 'pushcart:giveaway';
  return present<Giveaway>({
    label: b.text(`${at}.label`, form.label),
    opensAt: b.time(`${at}.opensAt`, form.opensAt, before?.opensAt),
    closesAt: b.time(`${at}.closesAt`, form.closesAt, before?.closesAt),
    quantity: b.whole(`${at}.quantity`, form.quantity),
    url: filled(form.url),
  });
}

/** The document that a form stands for, and what in the form cannot stand in one. before is the card that it showed. */
export function toCard(form: CardForm, before?: Card): { card: Card; mistakes: readonly Mistake[] } {
  const b = new Builder();
  const card = present<Card>({
    id: b.id(form.id),
    '@type': before?.['@type'],
    name: b.required('name', b.text('name', form.name)),
    description: b.text('description', form.description),
    image: filled(form.image),
    url: filled(form.url),
    brand: filled(form.brand),
    sku: filled(form.sku),
    gtin: filled(form.gtin),
    offers:
      form.offers.length === 0 ? undefined : form.offers.map((o, i) => offer(b, o, `offers[${i}]`, before?.offers?.[i])),
    eligibleRegion: list(form.eligible),
    ineligibleRegion: list(form.ineligible),
    'pushcart:promotion': promotion(b, form.promotion, before?.['pushcart:promotion']),
    'pushcart:coupon': coupon(b, form.coupon, before?.['pushcart:coupon']),
    'pushcart:giveaway': giveaway(b, form.giveaway, before?.['pushcart:giveaway']),
    'pushcart:disclosure': b.text('pushcart:disclosure', form.disclosure),
  });
  return { card, mistakes: b.mistakes };
}
