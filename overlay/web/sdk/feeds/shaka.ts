import { rangeClass } from '../ranges';
import type { Feed, Range, Sink } from '../types';
import { frameToken, rangeValue } from './cue';

/** What is used of a shaka.Player. */
export interface ShakaLike {
  addEventListener(type: string, listener: (event: never) => void): void;
  removeEventListener(type: string, listener: (event: never) => void): void;
  configure(config: string, value: unknown): unknown;
  getAssetUri(): string | null;
  getPlayheadTimeAsDate(): Date | null;
  getMediaElement?(): HTMLMediaElement | null;
  getAllMetadataRegions?(): readonly Region[];
  getAllTimelineRegions?(): readonly TimelineRegion[];
}

interface Region {
  readonly startTime: number;
  readonly payload: unknown;
}

interface TimelineRegion {
  readonly id: string;
  readonly schemeIdUri: string;
  readonly startTime: number;
  readonly endTime: number;
  readonly values?: readonly unknown[];
}

/**
 * ShakaFeed listens to Shaka Player. Event messages of HLS come out of it only with mediaSource.dispatchAllEmsgBoxes, which
 * is switched on; metadataadded tells of them when a part is read, metadata and emsg not before the picture is there. Date
 * ranges come as regions of the timeline, anew when one has ended.
 */
export class ShakaFeed implements Feed {
  private sink: Sink | null = null;
  private video: HTMLMediaElement | null = null;
  private readonly ranges = new Map<string, Range>();

  constructor(private readonly player: ShakaLike) {}

  open(video: HTMLVideoElement, sink: Sink): void {
    this.sink = sink;
    this.video = video;
    this.player.configure('mediaSource.dispatchAllEmsgBoxes', true);
    this.each((type, listener) => this.player.addEventListener(type, listener));
    for (const region of this.player.getAllMetadataRegions?.() ?? []) this.added(region);
    for (const region of this.player.getAllTimelineRegions?.() ?? []) this.region(region);
  }

  close(): void {
    this.each((type, listener) => this.player.removeEventListener(type, listener));
    this.sink = null;
  }

  address(): string | null {
    const uri = this.player.getAssetUri();
    return uri ? new URL(uri, location.href).href : null;
  }

  dateAt(time: number): number | null {
    const date = this.player.getPlayheadTimeAsDate()?.getTime() ?? NaN;
    return Number.isNaN(date) || !this.video ? null : date + (time - this.video.currentTime) * 1000;
  }

  latency(): number | null {
    return null;
  }

  private each(f: (type: string, listener: (event: never) => void) => void): void {
    f('metadataadded', this.added);
    f('timelineregionadded', this.regionAdded);
    f('loading', this.loading);
  }

  private readonly added = ({ startTime, payload }: Region) => {
    const token = frameToken(payload);
    if (token !== null) this.sink?.message(startTime, token);
  };

  private readonly regionAdded = ({ detail }: { detail: TimelineRegion }) => this.region(detail);

  private readonly loading = () => {
    this.ranges.clear();
    this.sink?.restart();
  };

  private region({ id, schemeIdUri, startTime, endTime, values = [] }: TimelineRegion): void {
    const value = values.map(rangeValue).find((found) => found !== null);
    if (schemeIdUri !== rangeClass || value === undefined || value === null) return;
    this.ranges.set(id, { id, value, start: startTime, end: endTime });
    this.sink?.ranges([...this.ranges.values()]);
  }
}
