import Hls, { ErrorTypes, Events, type ErrorData, type HlsConfig, type LoadPolicy } from 'hls.js';
import { fromHls } from '../sdk';
import type { Size, Sound, Source, SourceEvents, Timing } from './source';

/** A second failure of the decoder within this time ends the source; ms. */
const recoveryWindow = 8000;

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
  private readonly hls = new Hls(config);
  readonly cards = fromHls(this.hls);
  private live = false;
  private recovered = -Infinity;

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
    hls.on(Events.LEVEL_UPDATED, (_, { details }) => {
      if (details.advanced) events.advanced();
    });
    hls.on(Events.FRAG_LOADED, () => events.reachable(true));
    hls.on(Events.ERROR, (_, data) => this.failed(data));
    hls.loadSource(this.url);
    hls.attachMedia(this.video);
  }

  close(): void {
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
    const list = this.hls.levels.map(({ width, height, bitrate }, id) => ({ id, lines: Math.min(width, height), bitrate }));
    return list.sort((a, b) => b.lines - a.lines || b.bitrate - a.bitrate);
  }

  get size(): number | null {
    const { manualLevel } = this.hls;
    return manualLevel < 0 ? null : manualLevel;
  }

  set size(id: number | null) {
    if (id === this.size) return;
    this.hls.nextLevel = id ?? -1;
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
    if (manifest && answered) {
      events.absent();
      return;
    }
    events.error(kind, data.details, data.fatal);
    if (!data.fatal) return;
    if (kind === 'media' && performance.now() - this.recovered > recoveryWindow) {
      this.recovered = performance.now();
      this.hls.recoverMediaError();
      return;
    }
    events.broken();
  }
}
