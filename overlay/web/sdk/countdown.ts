import type { Left } from './types';

/** What is left until a moment: whole seconds, the last one until it is over, and 0 from then on. */
export function countdown(until: Date, now: Date): Left {
  const total = Math.max(0, Math.ceil((until.getTime() - now.getTime()) / 1000));
  return {
    days: Math.floor(total / 86400),
    hours: Math.floor(total / 3600) % 24,
    minutes: Math.floor(total / 60) % 60,
    seconds: total % 60,
    total,
  };
}
