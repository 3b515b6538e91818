// The cards of a show, for any player. README.md has an example.
import { CardsOf } from './cards';
import { HlsFeed, type HlsLike } from './feeds/hls';
import { NativeFeed } from './feeds/native';
import { ShakaFeed, type ShakaLike } from './feeds/shaka';
import type { Cards, Feed, Options, Player } from './types';

export type * from './types';
export { countdown } from './countdown';
export { https, localise } from './localise';

/**
 * Tells what cards the stream on a video element shows, picture by picture, until detach is called. The player is an instance
 * of hls.js, a shaka.Player, or null where the browser plays HLS by itself; call it before the player loads the stream.
 */
export function attach(video: HTMLVideoElement, player: Player = null, options: Options = {}): Cards {
  return new CardsOf(video, feedOf, player, options);
}

/** What an instance of hls.js, 1.0 or later, knows of cards. */
export function fromHls(hls: object): Feed {
  return new HlsFeed(hls as HlsLike);
}

/** What a shaka.Player, 4.14 or later, knows of cards. */
export function fromShaka(player: object): Feed {
  return new ShakaFeed(player as ShakaLike);
}

/** What a video element knows of cards where the browser plays HLS by itself. */
export function fromNative(): Feed {
  return new NativeFeed();
}

function feedOf(player: Player): Feed {
  if (player === null || player === undefined) return fromNative();
  const has = (...names: string[]) => names.every((name) => name in player);
  if (has('open', 'dateAt')) return player as Feed;
  if (has('getAssetUri', 'configure')) return fromShaka(player);
  if (has('loadSource', 'on')) return fromHls(player);
  throw new TypeError('attach: the player is neither an instance of hls.js nor a shaka.Player: make a Feed for it, or give null');
}
