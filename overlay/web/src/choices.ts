import type { Size, Sound, Source } from './source';

/** What a viewer likes: it is kept on the device, for all shows. */
export interface Likes {
  /** The sound chosen last, by name and language; null when none ever was. */
  sound: { readonly name: string; readonly language: string } | null;
  /** The lines of the picture chosen last; null for automatic. */
  lines: number | null;
  /** Its bit rate, for shows that have several of as many lines; bit/s, null when it is not known. */
  rate: number | null;
}

/** The name under which they are kept. */
const keptAs = 'pushcart.watch';

/** Reads what was kept; what is nothing is passed over. */
export function readLikes(text: string | null): Likes {
  const likes: Likes = { sound: null, lines: null, rate: null };
  try {
    const value: unknown = JSON.parse(text ?? '');
    if (typeof value !== 'object' || value === null) return likes;
    const { sound, lines, rate } = value as Record<string, unknown>;
    if (typeof lines === 'number' && lines > 0) likes.lines = lines;
    if (likes.lines !== null && typeof rate === 'number' && rate > 0) likes.rate = rate;
    if (typeof sound === 'object' && sound !== null) {
      const { name, language } = sound as Record<string, unknown>;
      if (typeof name === 'string' && typeof language === 'string') likes.sound = { name, language };
    }
  } catch {
    // Nothing was kept, or by another program.
  }
  return likes;
}

const primary = (tag: string): string => tag.toLowerCase().split('-')[0] ?? '';

/**
 * The sound for a viewer: the one liked, or one of the same language; else the first of the viewer's languages that there is;
 * null for the stream's own choice.
 */
export function soundFor(sounds: readonly Sound[], liked: Likes['sound'], languages: readonly string[]): Sound | null {
  if (liked) {
    const same = sounds.filter(({ language }) => language === liked.language);
    const found = same.find(({ name }) => name === liked.name) ?? (liked.language === '' ? undefined : same[0]);
    if (found) return found;
  }
  for (const tag of languages) {
    const exact = sounds.find(({ language }) => language.toLowerCase() === tag.toLowerCase());
    const found = exact ?? sounds.find(({ language }) => language !== '' && primary(language) === primary(tag));
    if (found) return found;
  }
  return null;
}

/**
 * The size for a viewer: the largest that has no more lines than are liked, of several with as many the one with the most alike bit
 * rate; else the smallest; null for automatic.
 */
export function sizeFor(sizes: readonly Size[], { lines, rate }: Pick<Likes, 'lines' | 'rate'>): Size | null {
  if (lines === null || sizes.length < 2) return null;
  const largest = sizes.find((size) => size.lines <= lines);
  if (!largest || rate === null) return largest ?? sizes.at(-1) ?? null;
  const off = ({ bitrate }: Size) => Math.abs(Math.log(bitrate / rate));
  return sizes.filter((size) => size.lines === largest.lines).reduce((best, size) => (off(size) < off(best) ? size : best));
}

/** What a sound is called: its name, else its language in the viewer's words, else its number. */
export function soundName({ id, name, language }: Sound, lang: string, unnamed: (n: number) => string): string {
  if (name !== '') return name;
  try {
    if (language !== '') return new Intl.DisplayNames([lang], { type: 'language' }).of(language) ?? language;
  } catch {
    return language;
  }
  return unnamed(id + 1);
}

/** From this many pictures in a second on, people say how many; 25 and 30 go without saying. */
const smooth = 47;

/** By what people know a size; '' when its lines are not known. */
function shortName({ lines, frames }: Size): string {
  if (lines === 0) return '';
  return frames >= smooth ? `${lines}p${Math.round(frames)}` : `${lines}p`;
}

/**
 * What sizes are called: by their lines, and by their codec or their bit rate, too, where two have the same. original words the host's own
 * picture among those that are made of it.
 */
export function sizeName(size: Size, sizes: readonly Size[], original: (name: string) => string): string {
  const marked = ({ original }: Size) => original && sizes.some((other) => !other.original);
  const rate = size.bitrate < 1e6 ? `${Math.round(size.bitrate / 1000)} kbit/s` : `${(size.bitrate / 1e6).toFixed(1)} Mbit/s`;
  const name = shortName(size);
  if (name === '') return marked(size) ? original(rate) : rate;
  const twins = sizes.filter((other) => other !== size && shortName(other) === name && marked(other) === marked(size));
  const byCodec = size.codec !== '' && twins.every(({ codec }) => codec !== size.codec);
  const full = twins.length === 0 ? name : `${name} · ${byCodec ? size.codec : rate}`;
  return marked(size) ? original(full) : full;
}

/** Choices brings what a viewer likes to each source of a player, and keeps what the viewer chooses. */
export class Choices {
  private readonly likes: Likes;
  /** The source that has what is liked. */
  private settled: Source | null = null;

  constructor(
    private readonly languages: readonly string[],
    private readonly keep: () => Pick<Storage, 'getItem' | 'setItem'> = () => localStorage,
  ) {
    let kept: string | null = null;
    try {
      kept = keep().getItem(keptAs);
    } catch {
      // A browser that forbids storage: nothing is remembered.
    }
    this.likes = readLikes(kept);
  }

  /** Applies what is liked to a source, once for what it has; later the viewer's word counts. */
  apply(source: Source): void {
    if (this.settled === source || source.sounds.length + source.sizes.length === 0) return;
    this.settled = source;
    const sound = source.sounds.length > 1 ? soundFor(source.sounds, this.likes.sound, this.languages) : null;
    if (sound) source.sound = sound.id;
    const size = sizeFor(source.sizes, this.likes);
    if (size) source.size = size.id;
  }

  /** The viewer chooses a sound. */
  chooseSound(source: Source, id: number): void {
    const sound = source.sounds.find((one) => one.id === id);
    if (!sound) return;
    this.likes.sound = { name: sound.name, language: sound.language };
    source.sound = id;
    this.save();
  }

  /** The viewer chooses a size; null is automatic. */
  chooseSize(source: Source, id: number | null): void {
    const size = source.sizes.find((one) => one.id === id);
    this.likes.lines = size && size.lines > 0 ? size.lines : null;
    this.likes.rate = this.likes.lines === null ? null : (size?.bitrate ?? null);
    source.size = size?.id ?? null;
    this.save();
  }

  private save(): void {
    try {
      this.keep().setItem(keptAs, JSON.stringify(this.likes));
    } catch {
      // See above.
    }
  }
}
