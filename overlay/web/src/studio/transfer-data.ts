import { segments } from './labels';
import type { Card, CardView } from './types';

/** The card documents in a text: a list of them, what the API lists, or a single one; or why there are none. */
export type Read =
  { readonly cards: readonly Card[] } | { readonly problem: 'syntax' | 'shape' | 'empty'; readonly detail: string };

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads what a host brings. What the documents say is for the node to judge, one by one. */
export function readCards(text: string): Read {
  if (text.trim() === '') return { problem: 'empty', detail: '' };
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\ufeff/, ''));
  } catch (error) {
    return { problem: 'syntax', detail: error instanceof Error ? error.message : '' };
  }
  const list = isObject(value) ? (Array.isArray(value['cards']) ? value['cards'] : [value]) : value;
  if (!Array.isArray(list)) return { problem: 'shape', detail: '' };
  const documents = list.map((item: unknown) => (isObject(item) && isObject(item['card']) ? item['card'] : item));
  const odd = documents.findIndex((item) => !isObject(item) || typeof item['id'] !== 'string');
  if (odd >= 0) return { problem: 'shape', detail: String(odd + 1) };
  return documents.length === 0 ? { problem: 'empty', detail: '' } : { cards: documents as Card[] };
}

/** The list as a file: documents only, which can be imported again anywhere. */
export function exported(cards: readonly CardView[]): string {
  return `${JSON.stringify({ cards: cards.map(({ card }) => card) }, null, 2)}\n`;
}

/** The card and the field in it that an import's "cards[2].offers[0].price" means; null when it names no card. */
export function cardOf(field: string): { readonly at: number; readonly field: string } | null {
  const match = /^(?:cards)?\[(\d+)\]\.?/.exec(field);
  if (!match || segments(field).length === 0) return null;
  return { at: Number(match[1]), field: field.slice(match[0].length) };
}
