import { description, isToken } from '../id3';
import { rangeAttribute } from '../ranges';
import { object } from '../state';

/** What browsers and players put into the cues of metadata tracks: one frame of an ID3 tag, or one attribute of a range. */
export type MetadataCue = TextTrackCue & { readonly value?: unknown };

/** The token in a frame as players take tags apart: key is TXXX, our description is called info or description. */
export function frameToken(value: unknown): string | null {
  const { key, info, description: called, data } = object(value) ?? {};
  if (key !== 'TXXX' || (info ?? called) !== description || typeof data !== 'string') return null;
  const token = data.replace(/\0+$/, '');
  return isToken(token) ? token : null;
}

/** The value of our attribute of a date range; null when it is another. */
export function rangeValue(value: unknown): string | null {
  const { key, data } = object(value) ?? {};
  return key === rangeAttribute && typeof data === 'string' ? data : null;
}

/** The cues of a track; none of one that is switched off. */
export function cuesOf(track: TextTrack): MetadataCue[] {
  return track.cues ? [...track.cues] : [];
}
