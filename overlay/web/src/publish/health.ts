/** What is counted at one moment. */
export interface Sample {
  /** ms */
  readonly at: number;
  readonly bytes: number;
  readonly frames: number;
  /** The share of packets that the node missed lately, 0 to 1; null when it has not said. */
  readonly loss: number | null;
  /** s */
  readonly roundTrip: number | null;
  /** What the browser believes the way can carry; bit/s. */
  readonly available: number | null;
  readonly width: number;
  readonly height: number;
  readonly limit: 'none' | 'cpu' | 'bandwidth' | 'other';
  readonly codec: string;
  /** How media go: "udp", "tcp". */
  readonly protocol: string;
}

/** How the connection does, over the time between two samples. */
export interface Figures extends Sample {
  /** What is sent; bit/s. */
  readonly bitrate: number;
  readonly frameRate: number;
}

export type Grade = 'measuring' | 'good' | 'fair' | 'poor';

/** What is wrong, in the order in which it should be said. */
export type Complaint = 'noMedia' | 'loss' | 'bandwidth' | 'cpu' | 'delay' | 'frames';

/** One entry of WebRTC's statistics, of whatever type. */
type Entry = Readonly<Record<string, unknown>>;

const number = (entry: Entry | undefined, key: string): number | null => {
  const value = entry?.[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
};
const text = (entry: Entry | undefined, key: string): string => {
  const value = entry?.[key];
  return typeof value === 'string' ? value : '';
};

/** Reads a report (Identifiers for WebRTC's Statistics API). */
export function sampleOf(report: Iterable<readonly [string, Entry]>, at: number): Sample {
  const entries = new Map(report);
  const all = [...entries.values()];
  const sent = all.filter(({ type }) => type === 'outbound-rtp');
  const video = sent.filter(({ kind }) => kind === 'video');
  // Of several sizes the largest that is being sent is what viewers are told of.
  const size = (entry: Entry) => number(entry, 'frameWidth') ?? 0;
  const best = video.reduce<Entry | undefined>((a, b) => (a && size(a) >= size(b) ? a : b), undefined);
  const heard = all.filter(({ type }) => type === 'remote-inbound-rtp');
  const transport = all.find(({ type }) => type === 'transport');
  const pair =
    entries.get(text(transport, 'selectedCandidatePairId')) ??
    all.find((entry) => entry['type'] === 'candidate-pair' && entry['nominated'] === true && entry['state'] === 'succeeded');
  const most = (list: Entry[], key: string) =>
    list.reduce<number | null>((found, entry) => {
      const value = number(entry, key);
      return value === null ? found : Math.max(found ?? 0, value);
    }, null);
  const limit = text(best, 'qualityLimitationReason');
  return {
    at,
    bytes: sent.reduce((sum, entry) => sum + (number(entry, 'bytesSent') ?? 0), 0),
    frames: number(best, 'framesSent') ?? 0,
    loss: most(heard, 'fractionLost'),
    roundTrip: number(pair, 'currentRoundTripTime') ?? most(heard, 'roundTripTime'),
    available: number(pair, 'availableOutgoingBitrate'),
    width: number(best, 'frameWidth') ?? 0,
    height: number(best, 'frameHeight') ?? 0,
    limit: limit === 'cpu' || limit === 'bandwidth' || limit === 'other' ? limit : 'none',
    codec: text(entries.get(text(best, 'codecId')), 'mimeType').replace(/^video\//i, ''),
    protocol: text(entries.get(text(pair, 'localCandidateId')), 'protocol'),
  };
}

/** What two samples say of the time between them; null when they are of different sessions. */
export function figures(before: Sample, now: Sample): Figures | null {
  const seconds = (now.at - before.at) / 1000;
  if (seconds <= 0 || now.bytes < before.bytes) return null;
  return {
    ...now,
    bitrate: ((now.bytes - before.bytes) * 8) / seconds,
    frameRate: Math.max(0, now.frames - before.frames) / seconds,
  };
}

/** What a show wants of its connection. */
export interface Wanted {
  /** bit/s for the whole picture */
  readonly bitrate: number;
  /** As the camera gives them; frames a second, 0 without a camera. */
  readonly frameRate: number;
}

/** Browsers take this long to find out what a connection can carry; ms. */
const settling = 8000;

/** Judges the figures: how good the connection is, and what is to be said of it. age is how long media have flowed; ms. */
export function judge(f: Figures, wanted: Wanted, age: number): { grade: Grade; complaint: Complaint | null } {
  const loss = f.loss ?? 0;
  const delay = f.roundTrip ?? 0;
  const frames = wanted.frameRate > 0 ? f.frameRate / wanted.frameRate : 1;
  const room = f.available === null || f.limit !== 'bandwidth' ? 1 : f.available / wanted.bitrate;
  if (f.bitrate < 1000) return { grade: age < settling ? 'measuring' : 'poor', complaint: age < settling ? null : 'noMedia' };
  if (loss > 0.08) return { grade: 'poor', complaint: 'loss' };
  if (age < settling) return { grade: 'measuring', complaint: null };
  if (room < 0.4) return { grade: 'poor', complaint: 'bandwidth' };
  if (frames < 0.5) return { grade: 'poor', complaint: f.limit === 'bandwidth' ? 'bandwidth' : f.limit === 'cpu' ? 'cpu' : 'frames' };
  if (delay > 0.6) return { grade: 'poor', complaint: 'delay' };
  if (loss > 0.02) return { grade: 'fair', complaint: 'loss' };
  if (room < 0.8) return { grade: 'fair', complaint: 'bandwidth' };
  if (f.limit === 'cpu') return { grade: 'fair', complaint: 'cpu' };
  if (frames < 0.8) return { grade: 'fair', complaint: 'frames' };
  if (delay > 0.3) return { grade: 'fair', complaint: 'delay' };
  return { grade: 'good', complaint: null };
}
