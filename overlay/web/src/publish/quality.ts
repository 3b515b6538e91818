/** What a picture is to be: the long and the short side in pixels, and what it may cost in bit/s. */
export interface Quality {
  readonly name: string;
  readonly long: number;
  readonly short: number;
  readonly bitrate: number;
}

export const frameRate = 30;

const normal: Quality = { name: '720', long: 1280, short: 720, bitrate: 2_500_000 };

export const qualities: readonly Quality[] = [
  { name: '1080', long: 1920, short: 1080, bitrate: 4_500_000 },
  normal,
  { name: '540', long: 960, short: 540, bitrate: 1_500_000 },
  { name: '360', long: 640, short: 360, bitrate: 800_000 },
];

/** The quality of a name; the usual one when there is none. */
export function qualityNamed(name: string): Quality {
  return qualities.find((quality) => quality.name === name) ?? normal;
}

/** upright and wide hold for cameras that do not turn; a phone's picture is as the phone is held. */
export type Shape = 'auto' | 'upright' | 'wide';

/** What a camera is asked for. */
export function pictureConstraints(quality: Quality, shape: Shape): MediaTrackConstraints {
  const upright = shape === 'upright';
  return {
    width: { ideal: upright ? quality.short : quality.long },
    height: { ideal: upright ? quality.long : quality.short },
    // Cameras that do not turn have no upright picture: it is cut out of their wide one.
    ...(shape === 'auto' ? {} : { aspectRatio: { ideal: upright ? quality.short / quality.long : quality.long / quality.short } }),
    frameRate: { ideal: frameRate },
  };
}

/** The names of the layers in a simulcast offer, and what they are scaled down by, the lowest first. */
const layers = [
  { rid: 'low', scaleResolutionDownBy: 4, share: 0.08 },
  { rid: 'mid', scaleResolutionDownBy: 2, share: 0.3 },
  { rid: 'high', scaleResolutionDownBy: 1, share: 1 },
] as const;

/** How a picture of a quality is encoded: once, or in three sizes at a time. */
export function encodings(quality: Quality, several: boolean): RTCRtpEncodingParameters[] {
  if (!several) return [{ maxBitrate: quality.bitrate, maxFramerate: frameRate }];
  return layers.map(({ rid, scaleResolutionDownBy, share }) => ({
    rid,
    scaleResolutionDownBy,
    maxBitrate: Math.round(quality.bitrate * share),
    maxFramerate: frameRate,
  }));
}

/** What all encodings of a quality may cost together; bit/s. */
export function wholeBitrate(quality: Quality, several: boolean): number {
  return encodings(quality, several).reduce((sum, { maxBitrate = 0 }) => sum + maxBitrate, 0);
}

/**
 * Whether several sizes are sent unless the host says otherwise. Phones encode one picture in hardware; three at a time go
 * to the processor, which gets hot and slow within minutes. And where the uplink is weak browsers give up the largest size
 * first, which is the one that a show is watched in. So it takes a computer with power to spare.
 */
export function severalByDefault(device: { readonly mobile: boolean; readonly cores: number }): boolean {
  return !device.mobile && device.cores >= 8;
}
