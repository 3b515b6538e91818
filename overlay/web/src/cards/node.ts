import { direction } from '../../sdk/text';
import type { Text } from '../../sdk';

/** Attributes by name; what is undefined is left out. */
type Attributes = Readonly<Record<string, string | undefined>>;

/**
 * Makes an element. Its text, and that of all its children, is text: nothing here, and nothing that uses it, makes markup of
 * a string.
 */
export function node<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  part: string,
  children: readonly (Node | string | null)[] = [],
  attributes: Attributes = {},
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = `card-${part}`;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** lang and dir for a text; an element without them reads as what it stands in. */
export function written({ lang, dir }: Pick<Text, 'lang' | 'dir'>): Attributes {
  return { lang: lang === '' ? undefined : lang, dir };
}

/** lang and dir for our own words. */
export function ourWords(lang: string): Attributes {
  return { lang, dir: direction(lang) };
}
