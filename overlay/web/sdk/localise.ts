import { currencyOf, price } from './money';
import { object } from './state';
import { pick, regionOf, usable } from './text';
import type { Availability, Card, Coupon, Giveaway, Promotion, Viewer } from './types';

type Fields = Readonly<Record<string, unknown>>;

const availabilities: ReadonlySet<unknown> = new Set<Availability>([
  'InStock',
  'OutOfStock',
  'LimitedAvailability',
  'PreOrder',
  'SoldOut',
]);

/** How many offers are looked at; a node takes 16. */
const mostOffers = 64;

/**
 * Makes a viewer's card of a card document (a schema.org Product). Null when there is nothing for this viewer: the document
 * is withheld, the region is not sold to, or it is no card document.
 */
export function localise(document: unknown, viewer: Viewer): Card | null {
  const doc = object(document);
  const languages = usable(viewer.languages);
  const name = pick(doc?.['name'], languages);
  if (!doc || typeof doc['id'] !== 'string' || !name || doc['pushcart:withheld'] || !sold(doc, viewer.region)) return null;
  const offers = list(doc['offers']).slice(0, mostOffers);
  const offer = choose(offers, viewer, languages);
  if (offers.length > 0 && !offer) return null;
  const { priceCurrency, availability, inventoryLevel } = offer ?? {};
  const string = (key: string) => (typeof doc[key] === 'string' ? doc[key] : null);
  return {
    id: doc['id'],
    rev: typeof doc['rev'] === 'number' ? doc['rev'] : 0,
    name,
    description: pick(doc['description'], languages),
    image: https(doc['image']),
    url: https(offer?.['url']) ?? https(doc['url']),
    brand: string('brand'),
    sku: string('sku'),
    gtin: string('gtin'),
    price: price(offer?.['price'], priceCurrency, languages),
    priorPrice: price(offer?.['pushcart:priorPrice'], priceCurrency, languages),
    availability: availabilities.has(availability) ? (availability as Availability) : offer ? 'InStock' : null,
    inventoryLevel: count(inventoryLevel),
    promotion: promotion(object(doc['pushcart:promotion']), languages),
    coupon: coupon(object(doc['pushcart:coupon']), languages),
    giveaway: giveaway(object(doc['pushcart:giveaway']), languages),
    disclosure: pick(doc['pushcart:disclosure'], languages),
  };
}

/** An address that a page may load from or link to; null for all others. */
export function https(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  try {
    const { href, protocol, username, password } = new URL(value);
    return protocol === 'https:' && username === '' && password === '' ? href : null;
  } catch {
    return null;
  }
}

/** The offer that fits best; null when none may be sold to the viewer. */
function choose(offers: Fields[], viewer: Viewer, languages: readonly string[]): Fields | null {
  const region = viewer.region ?? regionOf(languages);
  const currency = viewer.currency ?? currencyOf(region);
  const fit = (offer: Fields) =>
    (sold(offer, region) ? 8 : 0) +
    (offer['priceCurrency'] === currency ? 4 : 0) +
    (list(offer['eligibleRegion']).length > 0 ? 1 : 0);
  let best: Fields | null = null;
  for (const offer of offers) {
    if (sold(offer, viewer.region) && (!best || fit(offer) > fit(best))) best = offer;
  }
  return best;
}

/** Whether a card or an offer may be sold in a region; one that is not known is no reason against it. */
function sold(item: Fields, region: string | undefined): boolean {
  if (!region) return true;
  const eligible: unknown[] = list(item['eligibleRegion']);
  const ineligible: unknown[] = list(item['ineligibleRegion']);
  return (eligible.length === 0 || eligible.includes(region)) && !ineligible.includes(region);
}

function promotion(doc: Fields | null, languages: readonly string[]): Promotion | null {
  const label = pick(doc?.['label'], languages);
  const endsAt = date(doc?.['endsAt']);
  return label && endsAt ? { label, startsAt: date(doc?.['startsAt']), endsAt } : null;
}

function coupon(doc: Fields | null, languages: readonly string[]): Coupon | null {
  const code = doc?.['code'];
  if (typeof code !== 'string' || !/^[A-Za-z0-9_-]{1,32}$/.test(code)) return null;
  return { code, label: pick(doc?.['label'], languages), endsAt: date(doc?.['endsAt']) };
}

function giveaway(doc: Fields | null, languages: readonly string[]): Giveaway | null {
  const label = pick(doc?.['label'], languages);
  const [opensAt, closesAt] = [date(doc?.['opensAt']), date(doc?.['closesAt'])];
  if (!label || !opensAt || !closesAt) return null;
  return { label, opensAt, closesAt, quantity: count(doc?.['quantity']), url: https(doc?.['url']) };
}

function list(value: unknown): Fields[] {
  return Array.isArray(value) ? (value as Fields[]).filter((item) => item !== null && item !== undefined) : [];
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

function date(value: unknown): Date | null {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\dT/.test(value)) return null;
  const time = new Date(value);
  return Number.isNaN(time.getTime()) ? null : time;
}
