import type { Timing } from './source';

/** Playback rates that nobody hears: a voice keeps its pitch and music its beat. */
export const fastest = 1.15;
export const slowest = 0.93;

/** The distance may be off by this much before the rate changes, and must be as good as reached before it is 1 again; s. */
const tolerance = 0.12;
const reached = 0.03;

/** What playback begins with over the stream's distance, until requests have found their rhythm; s. */
const startSlack = 0.3;
/** What one stall adds to the distance, the most that all may add, and how long it takes to lose 1 s of it again; s. */
const stallCost = 0.25;
const mostSlack = 2;
const forgetting = 120;

/** Further than this behind, catching up would take longer than anybody wants to wait; s. */
const catchUpRange = 6;

/**
 * Governor keeps playback at the distance from the live edge that the stream asks for, by small changes of the playback
 * rate. At the start and after a stall it keeps a little more, and
 * tries less again as time passes without one.
 */
export class Governor {
  private slack = startSlack;
  private correcting: -1 | 0 | 1 = 0;

  /** The distance to keep; s, null when the stream's is not known. */
  target(timing: Timing): number | null {
    return timing.holdBack === null ? null : timing.holdBack + this.slack;
  }

  /** How far playback is behind where it should be; s, negative when it is ahead. */
  behind(timing: Timing): number {
    const target = this.target(timing);
    return target === null || timing.behindEdge === null ? 0 : timing.behindEdge - target;
  }

  /** Takes note of a stall that the network, not the host, is the reason for. */
  stalled(): void {
    this.slack = Math.min(mostSlack, this.slack + stallCost);
  }

  /** Lets seconds pass. */
  pass(seconds: number): void {
    this.slack = Math.max(0, this.slack - seconds / forgetting);
  }

  /** The playback rate for now; ahead is how much media lies in front of the playhead, s. */
  rate(timing: Timing, ahead: number): number {
    const off = this.behind(timing);
    if (off > catchUpRange) this.correcting = 0;
    else if (off > tolerance) this.correcting = 1;
    else if (off < -tolerance) this.correcting = -1;
    else if (this.correcting * off < reached) this.correcting = 0;
    if (this.correcting === 1) {
      // What is left in front must outlast the wait for the next addition.
      return ahead > 1.5 * timing.step ? Math.min(fastest, 1 + Math.max(0.04, off * 0.15)) : 1;
    }
    return this.correcting === -1 ? Math.max(slowest, 1 + off * 0.15) : 1;
  }
}

/** How much earlier than the edge a picture may seem to be taken, and how much later, before the clocks must differ; s. */
const clockEarly = 0.3;
const clockLate = 8;

/**
 * How old the picture on the screen is, in seconds: by its capture time where the stream says it and the viewer's clock
 * can be believed, else by its distance from the live edge. Null when neither is known. nowMS is the time of day.
 */
export function pictureAge(timing: Timing, nowMS: number): number | null {
  const { shownAt, behindEdge } = timing;
  if (shownAt === null) return behindEdge;
  const age = (nowMS - shownAt) / 1000;
  if (behindEdge === null) return age >= 0 && age < 60 ? age : null;
  return age > behindEdge - clockEarly && age < behindEdge + clockLate ? age : behindEdge;
}
