import type { StudioStrings } from './strings';

/** The parts of a path in a document: "offers[0].price" and "name["de"]" are two each. Numbers are places in lists. */
export function segments(path: string): (string | number)[] {
  return [...path.matchAll(/\["([^"]*)"\]|\[(\d+)\]|([^.[\]]+)/g)].map(([, quoted, place, plain]) =>
    place === undefined ? (quoted ?? plain ?? '') : Number(place),
  );
}

/** A path as the words of the form: "Offer 1, price". What the form has no words for is left as it is. */
export function label(path: string, s: StudioStrings): string {
  const words: string[] = [];
  let parts = segments(path);
  if (parts[0] === 'offers' && typeof parts[1] === 'number') {
    words.push(s.offer(parts[1] + 1));
    parts = parts.slice(2);
  }
  for (const part of parts) words.push(s.fields[String(part)] ?? String(part));
  return words.length === 0 ? path : words.join(', ');
}
