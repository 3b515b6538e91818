import { object } from './state';
import type { Text } from './types';

/** Longer texts are cut; the node takes none of this length. */
const longest = 1000;

/** Scripts that are written from right to left. */
const rightToLeft = new Set('Adlm Arab Aran Hebr Mand Mend Nkoo Rohg Samr Syrc Thaa Yezi'.split(' '));

/**
 * The text in the language that fits the viewer best, of one text or of a map by language (BCP 47); null when there is none.
 * In each of the viewer's languages in turn: that language as it is, without its subtags one after another, another region's
 * in the same script, any of it. Then English, then whatever comes first.
 */
export function pick(value: unknown, languages: readonly string[]): Text | null {
  if (typeof value === 'string') return textOf(value, '');
  const map = Object.entries(object(value) ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  const tags = map.map(([tag]) => tag);
  for (const wanted of [...languages, 'en']) {
    const found = match(wanted, tags);
    const text = found === null ? null : textOf(map.find(([tag]) => tag === found)![1], found);
    if (text) return text;
  }
  return map.map(([tag, text]) => textOf(text, tag)).find((text) => text !== null) ?? null;
}

/** A text without what could change the order of others around it, or nothing; null when nothing is left. */
function textOf(value: string, lang: string): Text | null {
  const text = value
    .slice(0, longest)
    .replace(/[\p{Cc}\u2028-\u202e\u2066-\u2069\ufeff]/gu, ' ')
    .trim();
  return text === '' ? null : { text, lang, dir: lang === '' ? 'auto' : direction(lang) };
}

function match(wanted: string, tags: readonly string[]): string | null {
  const parts = wanted.toLowerCase().split('-');
  for (let n = parts.length; n > 0; n--) {
    const prefix = parts.slice(0, n).join('-');
    const found = tags.find((tag) => tag.toLowerCase() === prefix);
    // Chinese of Taiwan is not to be read in the script that plain Chinese has.
    if (found !== undefined && script(found) === script(wanted)) return found;
  }
  const same = tags.filter((tag) => tag.toLowerCase().split('-')[0] === parts[0]);
  return same.find((tag) => script(tag) === script(wanted)) ?? same[0] ?? null;
}

/** The language with its likely script and region (UTS 35, likely subtags); null when the tag is none. */
function likely(tag: string): Intl.Locale | null {
  try {
    return new Intl.Locale(tag).maximize();
  } catch {
    return null;
  }
}

function script(tag: string): string {
  return likely(tag)?.script ?? '';
}

/** In which direction a language is written. */
export function direction(lang: string): 'ltr' | 'rtl' {
  return rightToLeft.has(script(lang)) ? 'rtl' : 'ltr';
}

/** The region that languages speak of: of the first that names one, else the likely one of the first; '' when there is none. */
export function regionOf(languages: readonly string[]): string {
  for (const tag of languages) {
    const region = /^[a-z]{2,3}(-[a-z]{4})?-([a-z]{2})\b/i.exec(tag)?.[2];
    if (region) return region.toUpperCase();
  }
  return likely(languages[0] ?? '')?.region ?? '';
}

/** Those of the tags that are languages. */
export function usable(tags: readonly string[]): string[] {
  return tags.filter((tag) => likely(tag) !== null);
}
