import { countdown } from '../../sdk';

/** From this many days on nobody counts seconds. */
const daysOnly = 2;

/** Writes what is left until a moment: 00:04:59, or days. */
export function left(until: Date, now: Date, lang: string): string {
  const { days, hours, minutes, seconds } = countdown(until, now);
  if (days >= daysOnly) return new Intl.NumberFormat(lang, { style: 'unit', unit: 'day', unitDisplay: 'long' }).format(days);
  const two = new Intl.NumberFormat(lang, { minimumIntegerDigits: 2, useGrouping: false });
  return [days * 24 + hours, minutes, seconds].map((n) => two.format(n)).join(':');
}
