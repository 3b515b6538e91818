import { price } from '../../sdk/money';
import { pick as pickText } from '../../sdk/text';
import type { Availability, Card, CardView, Offer, Text } from './types';

/** A text in the language of the reader, as the player picks it for viewers. */
export function pick(text: Text | undefined, lang: string): string {
  return pickText(text, [lang])?.text ?? '';
}

/** All language tags that a card's texts have. */
export function languages(cards: readonly CardView[]): string[] {
  const tags = new Set<string>();
  for (const { card } of cards) {
    const texts = [
      card.name,
      card.description,
      card['pushcart:promotion']?.label,
      card['pushcart:coupon']?.label,
      card['pushcart:giveaway']?.label,
      card['pushcart:disclosure'],
    ];
    for (const text of texts) if (typeof text === 'object') Object.keys(text).forEach((tag) => tags.add(tag));
  }
  return [...tags].sort();
}

/** Whether a card has all words of a query somewhere in what it is known by. */
export function found(card: Card, query: string): boolean {
  const names = typeof card.name === 'string' ? [card.name] : Object.values(card.name);
  const known = [card.id, card.sku ?? '', card.gtin ?? '', card.brand ?? '', ...names].join('\n').toLocaleLowerCase();
  return query
    .toLocaleLowerCase()
    .split(/\s+/)
    .every((word) => known.includes(word));
}

/** An amount as the reader writes it; one that is none is left as it is. */
export function money(amount: string, currency: string, lang: string): string {
  return price(amount, currency, [lang])?.text ?? `${amount} ${currency}`;
}

/** Whether nothing of the card can be bought at the moment; a card without offers has nothing to run out of. */
export function soldOut(card: Card): boolean {
  const offers = card.offers ?? [];
  return offers.length > 0 && offers.every(gone);
}

/** Whether an offer is sold out. */
export function gone(offer: Offer): boolean {
  return offer.availability === 'SoldOut' || offer.availability === 'OutOfStock';
}

/** The card with one of its offers changed. */
export function withOffer(card: Card, at: number, change: (offer: Offer) => Offer): Card {
  return { ...card, offers: (card.offers ?? []).map((offer, i) => (i === at ? change(offer) : offer)) };
}

/** The offer with so many more in stock, or fewer, but not less than none; the count begins at 0. */
export function restocked(offer: Offer, more: number): Offer {
  return { ...offer, inventoryLevel: Math.max(0, Math.min(1e9, (offer.inventoryLevel ?? 0) + more)) };
}

/** The offer sold out, or in stock again. A count of what is left goes with it, so that the two do not contradict. */
export function sold(offer: Offer, out: boolean): Offer {
  const { inventoryLevel, ...rest } = offer;
  const availability: Availability = out ? 'SoldOut' : 'InStock';
  if (out) return inventoryLevel === undefined ? { ...rest, availability } : { ...rest, availability, inventoryLevel: 0 };
  return inventoryLevel ? { ...rest, availability, inventoryLevel } : { ...rest, availability };
}

/** The card with a flash sale that ends at a time. One that it has already keeps its words. */
export function onSale(card: Card, label: Text, endsAt: string): Card {
  return { ...card, 'pushcart:promotion': { label: card['pushcart:promotion']?.label ?? label, endsAt } };
}

/** The card without its promotion. */
export function offSale(card: Card): Card {
  const { 'pushcart:promotion': _, ...rest } = card;
  return rest;
}

/** The card with its giveaway open between two times. */
export function opened(card: Card, opensAt: string, closesAt: string): Card {
  const giveaway = card['pushcart:giveaway'];
  return giveaway ? { ...card, 'pushcart:giveaway': { ...giveaway, opensAt, closesAt } } : card;
}

/** An identifier made from a name, or from a number where the name has nothing to make it from; none of those taken. */
export function freeID(name: string, taken: readonly string[]): string {
  const plain = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}/gu, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 36)
    .replace(/-+$/, '');
  const stem = plain === '' ? 'card' : plain;
  if (plain !== '' && !taken.includes(plain)) return plain;
  for (let n = plain === '' ? 1 : 2; ; n++) {
    const id = `${stem}-${n}`;
    if (!taken.includes(id)) return id;
  }
}
