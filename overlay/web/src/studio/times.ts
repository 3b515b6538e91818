const two = (n: number): string => String(n).padStart(2, '0');

/** A length of time as a clock shows it, 0:07 or 1:02:09. Less than nothing is 0:00; ms. */
export function clockText(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/** What is left until a time: as clockText, but the last second is 0:01, not 0:00; ms. */
export function leftText(ms: number): string {
  return clockText(Math.ceil(ms / 1000) * 1000);
}

/** A time (RFC 3339) as an input of type datetime-local has it, in the time zone here; '' when it is none. */
export function toLocal(time: string | undefined): string {
  const d = new Date(time ?? NaN);
  if (Number.isNaN(d.getTime())) return '';
  const date = `${String(d.getFullYear()).padStart(4, '0')}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
  return `${date}T${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** The time (RFC 3339, UTC) that an input of type datetime-local has; null when it is none. */
export function fromLocal(local: string): string | null {
  const d = new Date(local);
  return local === '' || Number.isNaN(d.getTime()) ? null : rfc3339(d.getTime());
}

/** A time of day in ms as RFC 3339, UTC, without needless digits. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

/** A time of day for the reader: with the date when it is not today's. */
export function timeOfDay(time: string, lang: string, now: number): string {
  const d = new Date(time);
  if (Number.isNaN(d.getTime())) return '';
  const clock = d.toLocaleTimeString(lang, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
  const today = d.toDateString() === new Date(now).toDateString();
  return today ? clock : `${d.toLocaleDateString(lang, { day: 'numeric', month: 'short' })}, ${clock}`;
}
