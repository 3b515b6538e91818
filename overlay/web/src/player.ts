import { Backoff } from './backoff';
import { HlsSource } from './hls-source';
import { Journal } from './journal';
import { Governor, pictureAge } from './latency';
import { NativeSource } from './native-source';
import { Refused, Watch, type Presence } from './presence';
import type { Source, SourceEvents, Timing } from './source';
import type { State, Stats } from './stats';

/** How often the player looks at how it is doing; ms. */
const tickEvery = 250;
/** A playlist that has not grown for this long has no host; s. The longer of it and steps of the playlist counts. */
const awayAfter = 2.5;
const awaySteps = 2;
/** Playback that stands still for this long although the playlist grows is started afresh; s. */
const stuckAfter = 10;
/** The end of a show that does not play out is over after this; s. */
const tailAfter = 3;
/** Whoever was turned away looks again after this, and then less and less often; ms. */
const soonest = 300;
const rarely = 30_000;
/** A first picture that does not come for this long although the stream is there, likewise; s. */
const startWithin = 20;
/** After a stall playback waits for this much media, or for as long as the stream's distance if that is less; s. */
const refill = 1.2;
/** At the start, too, but for no longer than this; s. */
const fillWithin = 1.5;
/** Started behind by more than this, playback moves up at once, as nobody has seen anything yet; s. */
const startAt = 0.5;
/** Behind by more than this, the viewer is offered the way back; s. */
const offerJumpAt = 3;
/** Behind by more than this without having asked for it, the viewer is taken back; s. */
const jumpAt = 8;

const noTiming: Timing = { behindEdge: null, holdBack: null, shownAt: null, step: 2 };

/**
 * Player keeps a live stream on a video element: it waits for the stream to begin, plays it near its live edge, gets over
 * every failure by itself and waits for the next show when one has ended. Its owner reads state and stats, and is told of
 * changes through onchange.
 */
export class Player {
  /** Called after each change of state. */
  onchange: () => void = () => {};
  /** Called with each source before it is opened. */
  onsource: (source: Source) => void = () => {};
  /** Called when a source's sounds or sizes, or those that are played, have changed. */
  onchoices: (source: Source) => void = () => {};

  private source: Source | null = null;
  private watch: Watch | null = null;
  private governor = new Governor();
  private readonly reopening = new Backoff(500, 5000);
  private reopenTimer: ReturnType<typeof setTimeout> | undefined;

  private readonly journal = new Journal();
  /** Why the address is not good, in the node's word; '' while it is, or when that is not known. */
  private why = '';

  /** What the viewer wants. */
  private wanted = true;
  /** The viewer has paused and so chosen to be behind. */
  private behindByChoice = false;
  private blocked = false;

  // Of the present source; see fresh.
  private begun = false;
  private closed = false;
  private reachable = true;
  private advancedAt = 0;
  /** Since when playback stands still; 0 while it moves. All moments are performance.now(). */
  private stalledAt = 0;
  /** Since when the beginning waits for more than the first parts; 0 when it does not. */
  private fillingAt = 0;
  private hostGone = false;
  private lastTime = 0;
  /** When playback last moved, or had no reason to. */
  private movedAt = 0;
  private tickedAt = 0;

  constructor(
    private readonly video: HTMLVideoElement,
    private url: string,
  ) {
    const on = (type: string, handler: () => void) => video.addEventListener(type, handler);
    on('playing', () => this.moved());
    on('timeupdate', () => this.moved());
    on('waiting', () => this.stopped());
    on('ended', () => this.over());
    on('pause', () => this.paused());
    document.addEventListener('visibilitychange', () => this.shown());
    window.addEventListener('online', () => this.online());
  }

  get state(): State {
    return this.journal.state;
  }

  /** Why the viewer was turned away, in the node's word; '' when that is not known. It is of the state "refused". */
  get refusal(): string {
    return this.why;
  }

  /** Goes on with another address. */
  moveTo(url: string): void {
    this.url = url;
    this.open();
  }

  /** Whether the viewer is so far behind that going back to live should be offered. */
  get behind(): boolean {
    return this.begun && !this.closed && this.governor.behind(this.timing()) > offerJumpAt;
  }

  /** The age of the picture in seconds; null when there is none or it is not known. */
  get latency(): number | null {
    return this.begun ? pictureAge(this.timing(), Date.now()) : null;
  }

  /** Begins to play as soon as there is something to play. */
  start(): void {
    setInterval(() => this.tick(), tickEvery);
    this.open();
  }

  /** Plays or pauses, as the viewer wishes. */
  toggle(): void {
    if (this.video.paused) {
      this.wanted = true;
      this.play();
    } else {
      this.wanted = false;
      this.behindByChoice = true;
      this.video.pause();
    }
    this.settle();
  }

  /** Goes to the live edge. */
  jumpToLive(): void {
    this.behindByChoice = false;
    this.wanted = true;
    const position = this.source?.livePosition() ?? null;
    if (position !== null && position > this.video.currentTime) this.video.currentTime = position;
    if (this.video.paused) this.play();
    this.settle();
  }

  /** The statistics, which stay current. */
  stats(): Stats {
    const player = this;
    const { journal, video } = this;
    const { counters } = journal;
    const quality = () => video.getVideoPlaybackQuality();
    return Object.freeze({
      get state() { return journal.state; },
      get history() { return journal.history; },
      get latency() { return player.latency; },
      get behindEdge() { return player.timing().behindEdge; },
      get target() { return player.governor.target(player.timing()); },
      get playbackRate() { return video.playbackRate; },
      get currentTime() { return video.currentTime; },
      get buffered() { return player.ahead(); },
      get muted() { return video.muted; },
      get width() { return video.videoWidth; },
      get height() { return video.videoHeight; },
      get totalFrames() { return quality().totalVideoFrames; },
      get droppedFrames() { return quality().droppedVideoFrames; },
      get stalls() { return counters.stalls; },
      get absences() { return counters.absences; },
      get opened() { return counters.opened; },
      get networkErrors() { return counters.networkErrors; },
      get mediaErrors() { return counters.mediaErrors; },
      get otherErrors() { return counters.otherErrors; },
      get fatalErrors() { return counters.fatalErrors; },
      get lastError() { return journal.lastError; },
    });
  }

  // Sources and the wait for one.

  private open(): void {
    this.leave();
    const events = this.events(() => this.source === source);
    const source: Source | null = HlsSource.supported()
      ? new HlsSource(this.video, this.url, events)
      : NativeSource.supported(this.video)
        ? new NativeSource(this.video, this.url, events)
        : null;
    if (!source) {
      this.become('unsupported');
      return;
    }
    this.fresh();
    this.source = source;
    this.journal.counters.opened++;
    this.onsource(source);
    source.open();
  }

  /** Closes the source and ends every wait for one. */
  private leave(): void {
    clearTimeout(this.reopenTimer);
    this.watch?.stop();
    this.watch = null;
    this.source?.close();
    this.source = null;
  }

  private fresh(): void {
    this.begun = this.closed = this.blocked = this.hostGone = false;
    this.advancedAt = this.movedAt = performance.now();
    this.stalledAt = this.fillingAt = 0;
    this.lastTime = 0;
    this.video.playbackRate = 1;
  }

  /** What a source tells counts only while it is the present one. */
  private events(present: () => boolean): SourceEvents {
    const when = <A extends unknown[]>(f: (...args: A) => void) => (...args: A) => {
      if (present()) f(...args);
    };
    return {
      absent: when(() => {
        this.reachable = true;
        this.await('waiting');
      }),
      ready: when(() => {
        this.reachable = true;
        if (this.wanted) this.play();
      }),
      choices: when(() => {
        if (this.source) this.onchoices(this.source);
      }),
      advanced: when(() => {
        this.advancedAt = performance.now();
      }),
      closed: when((unseen: boolean) => {
        this.closed = true;
        if (unseen) this.await('ended');
      }),
      refused: when(() => this.turnedAway()),
      reachable: when((yes: boolean) => {
        this.reachable = yes;
      }),
      broken: when(() => this.reopen()),
      error: when((...what: Parameters<Journal['failed']>) => this.journal.failed(...what)),
    };
  }

  /** Opens another source after a short wait. */
  private reopen(): void {
    const begun = this.begun;
    this.leave();
    this.begun = false;
    this.become(this.reachable ? (begun ? 'buffering' : 'connecting') : 'reconnecting');
    this.reopenTimer = setTimeout(() => this.open(), this.reopening.delay());
  }

  /** Waits for a live show. The picture of an ended one stays until the next. */
  private await(state: 'waiting' | 'ended'): void {
    if (state === 'waiting') this.leave();
    if (this.watch) return;
    this.behindByChoice = false;
    this.become(state);
    const found = (presence: Presence) => {
      if (presence === 'live') this.open();
      else if (presence instanceof Refused) this.turnedAway(presence);
      else if (presence === 'unreachable') this.become('reconnecting');
      else this.become(state);
    };
    this.watch = new Watch(this.url, found);
    this.watch.start();
    if (state === 'ended' && !this.begun) {
      this.source?.close();
      this.source = null;
    }
  }

  /** The address is not good for the stream. What for is asked, and now and then whether it still is not. */
  private turnedAway(known: Refused | null = null): void {
    this.leave();
    this.begun = false;
    this.behindByChoice = false;
    if (known) this.refuse(known);
    const again = new Backoff(known ? 3000 : soonest, rarely);
    const found = (presence: Presence) => {
      if (presence instanceof Refused) this.refuse(presence);
      else if (presence === 'live') this.open();
      else if (presence === 'unreachable') this.become('reconnecting');
      else {
        this.watch?.stop();
        this.watch = null;
        this.await(presence === 'ended' ? 'ended' : 'waiting');
      }
    };
    this.watch = new Watch(this.url, found, again);
    this.watch.start();
  }

  private refuse({ reason }: Refused): void {
    this.why = reason;
    this.become('refused');
  }

  // What the element tells.

  private play(): void {
    this.video.play().then(
      () => {
        this.blocked = false;
      },
      (error: unknown) => {
        if (error instanceof DOMException && error.name === 'NotAllowedError') this.refused();
      },
    );
  }

  /** The browser refused to play: with sound it may be that, without it waits for a touch. */
  private refused(): void {
    if (!this.video.muted) {
      this.video.muted = true;
      this.play();
      return;
    }
    this.blocked = true;
    this.settle();
  }

  private paused(): void {
    if (!this.source || this.video.ended || document.hidden || !this.begun) return;
    // Not this page's button: a headset's, or the system's.
    if (this.wanted) {
      this.wanted = false;
      this.behindByChoice = true;
    }
    this.settle();
  }

  private over(): void {
    this.closed = true;
    this.await('ended');
  }

  private shown(): void {
    if (document.hidden || !this.source || !this.wanted) return;
    if (this.video.paused && this.begun && !this.closed) this.play();
    if (!this.behindByChoice && this.behind) this.jumpToLive();
  }

  private online(): void {
    if (this.state === 'reconnecting' && !this.source) this.open();
  }

  /** Playback came to a stop for want of media. */
  private stopped(): void {
    if (!this.begun || this.stalledAt > 0 || this.fillingAt > 0 || this.video.seeking || this.video.paused || this.closed) return;
    // By the time that it is told, it may be over: Chromium does so as it begins to play while the first parts come in.
    if (this.video.readyState > HTMLMediaElement.HAVE_CURRENT_DATA) return;
    this.stalledAt = performance.now();
    this.hostGone = false;
    // Held until there is enough in front again: else the first new part would play at once, and the second come late.
    this.video.playbackRate = 0;
  }

  /** The element says that it plays, which counts only with a picture, or sound, to show for it. */
  private moved(): void {
    const { paused, readyState, seeking } = this.video;
    if (this.begun || paused || seeking || readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    this.begun = true;
    this.moveUp();
    this.fill();
    this.settle();
  }

  /** A source begins where a segment does, which may be a segment too early. Only what is already here is skipped. */
  private moveUp(): void {
    const timing = this.timing();
    const behind = this.governor.behind(timing);
    const spare = this.ahead() - (this.governor.target(timing) ?? refill);
    if (behind > startAt && spare > 0) this.video.currentTime += Math.min(behind, spare);
  }

  /**
   * Lets some more come in before playback moves: the first part is there at once, the ones behind it come one by one, and where the
   * stream's distance is long they are many.
   */
  private fill(): void {
    if (this.closed || this.enough(this.timing())) return;
    this.fillingAt = performance.now();
    this.video.playbackRate = 0;
  }

  // The clock.

  private tick(): void {
    const now = performance.now();
    const seconds = this.tickedAt > 0 ? (now - this.tickedAt) / 1000 : 0;
    this.tickedAt = now;
    if (!this.source || this.watch) return;
    const timing = this.timing();
    if (this.video.currentTime !== this.lastTime) {
      this.movedAt = now;
      if (this.begun) this.reopening.reset();
    }
    this.lastTime = this.video.currentTime;
    if (this.stalledAt > 0) this.hold(timing, now);
    else if (this.fillingAt > 0) this.filled(timing, now);
    else if (this.begun && !this.video.paused) this.steer(timing, seconds);
    this.settle();
    this.guard(timing, now);
  }

  /** Ends a stall when there is enough to go on with. */
  private hold(timing: Timing, now: number): void {
    if (this.gone(timing, now)) this.hostGone = true;
    if (this.movedAt === now && this.video.playbackRate > 0) {
      this.stalledAt = 0;
      if (this.hostGone) this.journal.counters.absences++;
      else {
        this.journal.counters.stalls++;
        this.governor.stalled();
      }
      return;
    }
    if (this.closed || this.enough(timing)) this.video.playbackRate = 1;
  }

  /** Ends the wait at the beginning. */
  private filled(timing: Timing, now: number): void {
    if (!this.closed && !this.enough(timing) && now - this.fillingAt < fillWithin * 1000) return;
    this.fillingAt = 0;
    this.video.playbackRate = 1;
  }

  /** Whether there is enough media in front to go on with. */
  private enough({ holdBack }: Timing): boolean {
    return this.ahead() >= Math.min(refill, holdBack ?? refill);
  }

  private steer(timing: Timing, seconds: number): void {
    this.governor.pass(seconds);
    if (this.closed || this.behindByChoice) {
      this.video.playbackRate = 1;
      return;
    }
    if (!document.hidden && this.governor.behind(timing) > jumpAt && !this.video.seeking) {
      this.jumpToLive();
      return;
    }
    const rate = this.governor.rate(timing, this.ahead());
    if (Math.abs(rate - this.video.playbackRate) > 0.005) this.video.playbackRate = rate;
  }

  /** Starts afresh what does not move although it should. */
  private guard(timing: Timing, now: number): void {
    const idle = !this.wanted || this.blocked || document.hidden;
    if (idle || (this.begun && !this.closed && this.gone(timing, now))) {
      this.movedAt = now;
      return;
    }
    const still = (now - this.movedAt) / 1000;
    if (this.closed && still > tailAfter) this.over();
    else if (still > (this.begun ? stuckAfter : startWithin)) this.reopen();
  }

  /** Finds the state that fits. */
  private settle(): void {
    if (!this.source || this.watch) return;
    const now = performance.now();
    if (this.blocked) this.become('blocked');
    else if (!this.wanted) this.become('paused');
    else if (this.begun && this.stalledAt === 0) this.become('playing');
    else if (!this.reachable) this.become('reconnecting');
    else if (this.gone(this.timing(), now)) this.become('away');
    else if (!this.begun) this.become('connecting');
    // A moment's stall is not worth a word on the screen.
    else if (now - this.stalledAt > 400) this.become(this.hostGone ? 'away' : 'buffering');
  }

  private become(state: State): void {
    if (this.journal.enter(state)) this.onchange();
  }

  private gone(timing: Timing, now: number): boolean {
    return (now - this.advancedAt) / 1000 > Math.max(awayAfter, awaySteps * timing.step);
  }

  private timing(): Timing {
    return this.source?.timing() ?? noTiming;
  }

  /** How much media lies in front of the playhead; s. */
  private ahead(): number {
    const { buffered, currentTime } = this.video;
    return buffered.length > 0 ? Math.max(0, buffered.end(buffered.length - 1) - currentTime) : 0;
  }
}
