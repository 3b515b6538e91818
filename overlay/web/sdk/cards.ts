import { Documents } from './documents';
import { CardChange, Rejection } from './events';
import { Keys } from './keys';
import { localise } from './localise';
import { Playhead } from './playhead';
import { Ranges } from './ranges';
import { parseToken, type Slots, type SlotState, type Token } from './state';
import { Timeline, type Entry } from './timeline';
import type { Card, Cards, CardEvent, CardsTarget, Feed, Options, Player, Range, Reason, Shown, Sink, Viewer } from './types';

/** Default of Options.lookahead; s. */
const usualLookahead = 20;
/** States further than this before what can be sought are forgotten; s. */
const keptBehind = 30;
/** How many states ahead are looked at: of fifty changes a second not all can be got ready. */
const mostAhead = 64;
/** What is ahead is looked at again when the picture has moved by this; s. */
const lookAgainAfter = 0.25;
/** How many rejections, and how many cards that were announced, are remembered, so that each is told once. */
const mostTold = 256;

/** A card that a slot shows, with where it came from. */
interface Display extends Shown {
  readonly since: number | null;
}

/** A state as the timeline has it or, unsigned, as date ranges make it up. */
type Standing = Pick<Entry, 'time' | 'slots' | 'verified'>;

/**
 * CardsOf holds what a player knows of cards against the pictures that its element shows. Whatever changes (a picture, a
 * message, a document) ends in settle, which compares what should be shown with what is.
 */
export class CardsOf extends (EventTarget as new () => CardsTarget) implements Cards, Sink {
  readonly shown = new Map<string, Display>();

  private readonly timeline = new Timeline();
  private readonly ranged = new Ranges();
  private readonly documents: Documents;
  private readonly keys: Keys;
  private readonly viewer: Viewer;
  private readonly playhead: Playhead;
  private readonly localised = new WeakMap<object, { card: Card | null }>();
  private readonly prepared = new Set<string>();
  private readonly reported = new Set<string>();
  private feed: Feed;
  /** The time of the picture that is shown; null before the first one of this timeline. */
  private now: number | null = null;
  /** The time of the picture when what is ahead was last looked at. */
  private lookedAt = NaN;
  /** Whether a signed state ever came: then date ranges do not count. */
  private signed = false;
  /** That of the newest state; 0 before the first. */
  private epoch = 0;
  private stream: string | null = null;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly feedOf: (player: Player) => Feed,
    player: Player,
    private readonly options: Options,
  ) {
    super();
    const { languages = navigator.languages, region, currency } = options;
    this.viewer = { languages: typeof languages === 'string' ? [languages] : languages, region, currency };
    const get = options.fetch ?? fetch.bind(globalThis);
    const { jwks, documents } = options;
    this.keys = new Keys(() => jwks ?? this.beside('/.well-known/jwks.json'), get);
    this.documents = new Documents(
      () => documents?.replace(/\/*$/, '/') ?? this.beside('cards/'),
      () => this.epoch,
      get,
      (card, rev) => this.wants(card, rev),
      () => this.changed(),
    );
    this.playhead = new Playhead(video, (time) => this.moved(time));
    this.feed = feedOf(player);
    this.feed.open(video, this);
  }

  date(): Date {
    const time = this.feed.dateAt(this.now ?? this.video.currentTime);
    return new Date(time ?? Date.now() - 1000 * (this.feed.latency() ?? 0));
  }

  use(player: Player): void {
    this.feed.close();
    this.restart();
    this.feed = this.feedOf(player);
    this.feed.open(this.video, this);
  }

  clear(): void {
    this.show(new Map(), false);
    this.restart();
    this.signed = false;
    this.stream = null;
  }

  detach(): void {
    this.feed.close();
    this.playhead.stop();
    this.keys.stop();
    this.documents.stop();
    this.clear();
  }

  // What the feed tells.

  message(time: number, token: string): void {
    if (!Number.isFinite(time)) return;
    if (this.timeline.find(time, token)) return;
    const read = parseToken(token);
    if (!read) return this.reject('malformed', time, token);
    if (!this.ours(read)) return this.reject('stream', time, token);
    const { epoch, seq, slots } = read;
    const entry: Entry = { time, token, epoch, seq, slots, verified: this.options.verify === 'off' ? false : null };
    this.timeline.add(entry);
    this.epoch = Math.max(this.epoch, epoch);
    this.signed = true;
    if (entry.verified === null) void this.verify(entry, read);
    this.changed();
  }

  ranges(list: readonly Range[]): void {
    this.ranged.set(list);
    this.changed();
  }

  restart(): void {
    this.timeline.clear();
    this.ranged.set([]);
    this.prepared.clear();
    this.now = null;
  }

  /** Whether a state is of the stream that plays. Where its name is not known, the first one that comes says it. */
  private ours({ stream }: Token): boolean {
    const { stream: given = streamOf(this.feed.address()) } = this.options;
    if (given !== null) return stream === given;
    this.stream ??= stream;
    return stream === this.stream;
  }

  private async verify(entry: Entry, token: Token): Promise<void> {
    const verdict = await this.keys.check(token);
    if (verdict === 'good') entry.verified = true;
    else if (verdict === 'unsupported' && this.options.verify !== 'require') entry.verified = false;
    else {
      this.timeline.remove(entry);
      this.reject(verdict, entry.time, entry.token);
    }
    this.changed();
  }

  private reject(reason: Reason, time: number, token: string): void {
    const known = `${reason} ${token.slice(-86)}`;
    if (this.reported.has(known)) return;
    if (this.reported.size >= mostTold) this.reported.clear();
    this.reported.add(known);
    this.dispatchEvent(new Rejection(reason, time));
  }

  // What the element shows.

  private moved(time: number | null): void {
    this.now = time;
    const { seekable } = this.video;
    if (time !== null && seekable.length > 0) this.timeline.prune(Math.min(time, seekable.start(0)) - keptBehind);
    this.settle();
  }

  private changed(): void {
    this.lookedAt = NaN;
    this.settle();
  }

  /** Shows what belongs to the picture, and gets what belongs to those that come. */
  private settle(): void {
    const { now } = this;
    if (now !== null) {
      const standing = this.standing(now);
      // While a signature is being checked what is shown stays.
      if (standing && standing.verified !== null) this.show(standing.slots, standing.verified);
    }
    if (now !== null && Math.abs(now - this.lookedAt) < lookAgainAfter) return;
    this.lookedAt = now ?? NaN;
    this.prepare();
  }

  /** The state at a time; null when nothing can be said of it, and what is shown stays. */
  private standing(time: number): Standing | null {
    const { timeline, ranged } = this;
    // Before the first state that is known it could be any.
    if (timeline.size > 0) return timeline.at(time) ?? { time, slots: new Map(), verified: true };
    return this.unsigned && ranged.size > 0 ? { time, slots: ranged.at(time), verified: false } : null;
  }

  /** Whether date ranges count: no signed state ever came. */
  private get unsigned(): boolean {
    return !this.signed && this.options.verify !== 'require';
  }

  private show(slots: Slots, verified: boolean): void {
    const changes: [CardEvent['type'], Display][] = [];
    for (const [slot, shown] of this.shown) {
      const due = slots.get(slot);
      const card = due && this.cardOf(due);
      // Another revision of the same card takes the place of the one before when it is there.
      if (!due || card === null || due.card !== shown.card.id) changes.push(['hide', shown]);
    }
    for (const [slot, due] of slots) {
      const card = this.cardOf(due);
      if (!card) continue;
      const shown = this.shown.get(slot);
      const same = shown?.card.id === card.id;
      if (same && shown.card.rev === card.rev && shown.verified === verified) continue;
      changes.push([same ? 'update' : 'show', { slot, card, verified, since: due.since }]);
    }
    // All of it is so before anybody is told of any.
    for (const [type, display] of changes) {
      if (type === 'hide') this.shown.delete(display.slot);
      else this.shown.set(display.slot, display);
    }
    for (const [type, display] of changes) this.tell(type, display, this.now ?? 0);
  }

  private tell(type: CardEvent['type'], display: Display, time: number): void {
    this.dispatchEvent(new CardChange(type, display, time, () => this.date()));
  }

  // Documents.

  /** The card of a revision for this viewer; null when there is none for them, undefined while the document is not there. */
  private cardOf({ card, rev }: SlotState): Card | null | undefined {
    const document = this.documents.get(card, rev);
    if (!document) return undefined;
    let made = this.localised.get(document);
    if (!made) {
      made = { card: localise({ ...document, rev }, this.viewer) };
      this.localised.set(document, made);
    }
    return made.card;
  }

  /** Fetches the documents of what is shown soon, and tells of what is there. */
  private prepare(): void {
    for (const { time, slots, verified } of this.soon()) {
      for (const [slot, due] of slots) {
        const card = this.cardOf(due);
        const key = `${slot}/${due.card}/${due.rev}`;
        if (!card || this.prepared.has(key)) continue;
        if (this.prepared.size >= mostTold) this.prepared.clear();
        this.prepared.add(key);
        this.tell('prepare', { slot, card, verified: verified === true, since: due.since }, time);
      }
    }
  }

  /** What begins within the lookahead. Before the first picture nobody knows which that will be: whatever came. */
  private soon(): Standing[] {
    const from = this.now ?? -Infinity;
    const to = this.now === null ? Infinity : from + (this.options.lookahead ?? usualLookahead);
    const list: Standing[] = this.unsigned ? this.ranged.between(from, to) : this.timeline.between(from, to);
    return list.slice(0, mostAhead);
  }

  /** Whether a revision is, or soon will be, shown. */
  private wants(card: string, rev: number): boolean {
    const standing = this.now === null ? null : this.standing(this.now);
    const states = standing ? [standing, ...this.soon()] : this.soon();
    return states.some(({ slots }) => [...slots.values()].some((due) => due.card === card && due.rev === rev));
  }

  /** An address beside the playlist; null while that is not known. */
  private beside(path: string): string | null {
    const playlist = this.feed.address();
    return playlist === null ? null : new URL(path, playlist).href;
  }
}

/** The name of the folder that a playlist is in; null when there is none. */
function streamOf(playlist: string | null): string | null {
  if (playlist === null) return null;
  const parts = new URL(playlist).pathname.split('/');
  try {
    return decodeURIComponent(parts[parts.length - 2] ?? '') || null;
  } catch {
    return null;
  }
}
