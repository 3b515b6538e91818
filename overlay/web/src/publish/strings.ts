import type { Trouble } from './devices';
import type { Complaint, Grade } from './health';
import type { UplinkState } from './uplink';
import { en } from './strings-en';
import { es } from './strings-es';
import { zh } from './strings-zh';

/** The publish page's words in one language. */
export interface PublishStrings {
  readonly title: (stream: string) => string;
  readonly close: string;

  // The way in.
  readonly key: string;
  readonly keyHint: string;
  readonly showKey: string;
  readonly remember: string;
  readonly keyWrong: string;
  readonly start: string;
  readonly end: string;
  readonly endTitle: string;
  readonly endWhat: string;
  readonly keepOn: string;
  readonly takeBack: string;
  readonly again: string;

  // Camera and microphone.
  readonly allow: string;
  readonly allowTitle: string;
  readonly allowMore: string;
  readonly opening: string;
  readonly troubles: Readonly<Record<'video' | 'audio' | 'both', Readonly<Record<Trouble, string>>>>;
  readonly interrupted: string;
  readonly silent: string;
  readonly mute: string;
  readonly unmute: string;
  readonly muted: string;
  readonly hide: string;
  readonly unhide: string;
  readonly hidden: string;
  readonly flip: string;
  readonly level: string;
  readonly preview: string;

  // Choices.
  readonly settings: string;
  readonly camera: string;
  readonly microphone: string;
  readonly quality: string;
  readonly shape: string;
  readonly upright: string;
  readonly wide: string;
  readonly voice: string;
  readonly voiceHint: string;
  readonly several: string;
  readonly severalHint: string;
  readonly severalLive: string;
  readonly unnamed: (n: number) => string;

  // How it goes.
  readonly states: Readonly<Record<UplinkState, string>>;
  readonly more: Readonly<Record<UplinkState, string>>;
  readonly live: string;
  readonly offAir: string;
  readonly trying: string;
  readonly blocked: string;
  readonly silentNode: string;
  readonly refusedAs: (status: string) => string;
  readonly watching: (n: number) => string;
  readonly health: string;
  readonly grades: Readonly<Record<Grade, string>>;
  readonly complaints: Readonly<Record<Complaint, string>>;
  readonly bitrate: string;
  readonly sentOf: (sent: string, wanted: string) => string;
  readonly frames: string;
  readonly perSecond: (frames: string) => string;
  readonly loss: string;
  readonly roundTrip: string;
  readonly picture: string;
  readonly limit: string;
  readonly limits: Readonly<Record<'none' | 'cpu' | 'bandwidth' | 'other', string>>;
  readonly path: string;
  readonly advice: string;

  // For others.
  readonly share: string;
  readonly shareWhat: string;
  readonly copy: string;
  readonly copied: string;
  readonly send: string;
  readonly watch: string;
  readonly studio: string;
}

const tables: Readonly<Record<string, PublishStrings>> = { en, zh, es };

/** The words in a language that the pages have; English otherwise. */
export function publishStrings(lang: string): PublishStrings {
  return (Object.hasOwn(tables, lang) ? tables[lang] : undefined) ?? en;
}
