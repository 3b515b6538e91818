import Hls, { ErrorTypes, Events, type ErrorData, type HlsConfig, type LevelDetails, type LoadPolicy } from 'hls.js';
import { fromHls } from '../sdk';
import { Backoff } from './backoff';
import { gapAhead, isStuck, sizesOf, wayAround } from './levels';
import { isRefusal } from './presence';
import type { Size, Sound, Source, SourceEvents, Timing } from './source';

/** A second failure of the decoder within this time ends the source; ms. */
const recoveryWindow = 8000;

/** A level whose media were missing is left alone for this long; a viewer who has chosen it waits up to the longest; ms. */
const penalty = 20_000;
const longestPenalty = 160_000;

/** With more than this in front, what is there of the old size is thrown away for the new one; with less, it plays out first; s. */
const longBuffer = 6;

/** With less than this in front, a level that has come to a stop is left. It is looked at about each half second, and the change takes time; s. */
const leaveBelow = 1.2;

/** Playlist and media requests go on for about as long as a publisher may be away; then the player opens a new source. */
const policy = (firstByte: number, whole: number, retries: number): LoadPolicy => ({
  default: {
    maxTimeToFirstByteMs: firstByte,
    maxLoadTimeMs: whole,
    timeoutRetry: { maxNumRetry: retries, retryDelayMs: 0, maxRetryDelayMs: 0 },
    errorRetry: { maxNumRetry: retries, retryDelayMs: 500, maxRetryDelayMs: 2000 },
  },
});

const config: Partial<HlsConfig> = {
  lowLatencyMode: true,
  // Fragmented MP4 goes into the element as it comes: there is nothing for a worker to do.
  enableWorker: false,
  backBufferLength: 30,
  maxBufferLength: 20,
  maxMaxBufferLength: 40,
  capLevelToPlayerSize: true,
  // Renditions that the node makes come later than the host's own, and can have gaps while those have none. A level that failed
  // would otherwise never be tried again.
  errorPenaltyExpireMs: penalty,
  // Cards are taken from the media themselves. Cues would need a track element, whose address the pages' policy forbids.
  enableEmsgMetadataCues: false,
  enableID3MetadataCues: false,
  enableDateRangeMetadataCues: false,
  // The player sets the rate and keeps the distance itself; see latency.ts.
  maxLiveSyncPlaybackRate: 1,
  liveSyncOnStallIncrease: 0,
  manifestLoadPolicy: policy(8000, 10000, 0),
  playlistLoadPolicy: policy(20000, 25000, 12),
  fragLoadPolicy: policy(10000, 60000, 6),
};

/** HlsSource plays through Media Source Extensions, Managed Media Source where only that exists. */
export class HlsSource implements Source {
  /** What the network was last believed to carry, bit/s: a source that is opened in the place of another need not start over. */
  private static bandwidth: number | null = null;

  private readonly hls = new Hls(HlsSource.bandwidth === null ? config : { ...config, abrEwmaDefaultEstimate: HlsSource.bandwidth });
  readonly cards = fromHls(this.hls);
  private live = false;
  private recovered = -Infinity;
  /** The address of the level that the viewer has chosen; null for automatic. hls.js forgets it when that level fails. */
  private chosen: string | null = null;
  private readonly returning = new Backoff(penalty, longestPenalty);
  private returnTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly url: string,
    private readonly events: SourceEvents,
  ) {}

  /** Whether this browser can. */
  static supported(): boolean {
    return Hls.isSupported();
  }

  open(): void {
    const { hls, events } = this;
    hls.on(Events.MANIFEST_PARSED, () => {
      // Choices first: what is loaded first follows them.
      events.choices();
      events.ready();
    });
    for (const event of [Events.AUDIO_TRACKS_UPDATED, Events.AUDIO_TRACK_SWITCHED, Events.LEVELS_UPDATED] as const) {
      hls.on(event, () => events.choices());
    }
    hls.on(Events.LEVEL_LOADED, (_, { details }) => {
      events.reachable(true);
      if (details.live) this.live = true;
      else events.closed(!this.live);
    });
    hls.on(Events.LEVEL_UPDATED, (_, { level, details }) => {
      if (details.advanced) events.advanced();
      if (details.live && level === hls.loadLevel) this.goAround(level, details);
    });
    hls.on(Events.FRAG_LOADED, () => events.reachable(true));
    hls.on(Events.ERROR, (_, data) => this.failed(data));
    hls.loadSource(this.url);
    hls.attachMedia(this.video);
  }

  close(): void {
    clearTimeout(this.returnTimer);
    if (this.hls.bandwidthEstimate > 0) HlsSource.bandwidth = this.hls.bandwidthEstimate;
    this.hls.destroy();
  }

  timing(): Timing {
    const details = this.hls.latestLevelDetails;
    if (!details) return { behindEdge: null, holdBack: null, shownAt: null, step: 2 };
    return {
      behindEdge: this.hls.latency || null,
      holdBack: details.partHoldBack || details.holdBack || 3 * details.targetduration,
      shownAt: this.hls.playingDate?.getTime() ?? null,
      step: details.partTarget || details.targetduration,
    };
  }

  get sounds(): readonly Sound[] {
    return this.tracks.map(({ name, lang }, id) => ({ id, name: name === lang ? '' : name, language: lang ?? '' }));
  }

  get sound(): number {
    return this.hls.audioTrack;
  }

  set sound(id: number) {
    const track = this.tracks[id];
    if (!track) return;
    const { name, lang, groupId } = track;
    // Before the first level is chosen this is a wish, kept for then; later it is a switch.
    if (this.hls.audioTracks.length === 0) this.hls.setAudioOption({ name, lang, groupId } as Parameters<Hls['setAudioOption']>[0]);
    else if (id !== this.hls.audioTrack) this.hls.audioTrack = id;
  }

  get sizes(): readonly Size[] {
    return sizesOf(this.hls.levels);
  }

  get size(): number | null {
    const id = this.level(this.chosen);
    return id < 0 ? null : id;
  }

  set size(id: number | null) {
    if (id === this.size) return;
    this.chosen = (id === null ? undefined : this.hls.levels[id]?.uri) ?? null;
    clearTimeout(this.returnTimer);
    this.returnTimer = undefined;
    this.returning.reset();
    const level = this.level(this.chosen);
    const ahead = this.hls.mainForwardBufferInfo?.len ?? 0;
    // At the live edge there is so little in front that to throw it away would be a stall.
    if (ahead > longBuffer) this.hls.nextLevel = level;
    else this.hls.loadLevel = level;
  }

  /** The level with an address; -1 for none. */
  private level(uri: string | null): number {
    return uri === null ? -1 : this.hls.levels.findIndex((level) => level.uri === uri);
  }

  /**
   * Turns to another level when media of the present one are missing which playback is about to need. hls.js passes over missing
   * parts in silence, and stands still in front of the hole until the segment is whole. Before a node calls them missing it waits for them, and by
   * then it may be too late: a level that has come to a stop while the host goes on is left as soon as little is in front.
   */
  private goAround(level: number, details: LevelDetails): void {
    const { hls } = this;
    const buffer = hls.mainForwardBufferInfo;
    const from = buffer && buffer.len > 0 ? buffer.end : (hls.liveSyncPosition ?? this.video.currentTime);
    const present = hls.levels[level];
    const stuck = isStuck(details) && buffer !== null && buffer.len < leaveBelow;
    if (!present || !(stuck || gapAhead(details, from))) return;
    const other = wayAround(hls.levels, level, hls.bandwidthEstimate);
    if (other < 0) return;
    present.loadError++;
    present.loadErrorTime = performance.now();
    hls.loadLevel = -1;
    hls.nextLoadLevel = other;
    this.returnLater();
  }

  /** Goes back to what the viewer has chosen, after a while. */
  private returnLater(): void {
    if (this.chosen === null || this.returnTimer !== undefined) return;
    this.returnTimer = setTimeout(() => {
      this.returnTimer = undefined;
      const level = this.level(this.chosen);
      if (level >= 0) this.hls.loadLevel = level;
    }, this.returning.delay());
  }

  /** The tracks of the group that is played; before one is, all that the first group has. */
  private get tracks(): Hls['audioTracks'] {
    const { audioTracks, allAudioTracks } = this.hls;
    if (audioTracks.length > 0) return audioTracks;
    return allAudioTracks.filter(({ groupId }) => groupId === allAudioTracks[0]?.groupId);
  }

  livePosition(): number | null {
    return this.hls.liveSyncPosition;
  }

  private failed(data: ErrorData): void {
    const { events } = this;
    const kind =
      data.type === ErrorTypes.NETWORK_ERROR ? 'network' : data.type === ErrorTypes.MEDIA_ERROR ? 'media' : 'other';
    const manifest = data.details.startsWith('manifest');
    const answered = (data.response?.code ?? 0) > 0;
    // A playlist request that the server holds until it times out is how a publisher's absence looks; one that
    // gets no answer at once is a network that is gone.
    if (kind === 'network' && !answered && data.details.endsWith('LoadError')) events.reachable(false);
    if (kind === 'network' && isRefusal(data.response?.code ?? 0)) {
      events.refused();
      return;
    }
    if (manifest && answered) {
      events.absent();
      return;
    }
    events.error(kind, data.details, data.fatal);
    if (this.hls.manualLevel < 0) this.returnLater();
    if (!data.fatal) return;
    if (kind === 'media' && performance.now() - this.recovered > recoveryWindow) {
      this.recovered = performance.now();
      this.hls.recoverMediaError();
      return;
    }
    events.broken();
  }
}
