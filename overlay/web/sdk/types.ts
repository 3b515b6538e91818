/** A text in one of the languages that its author wrote it in. It is plain: set it as textContent, never as markup. */
export interface Text {
  readonly text: string;
  /** BCP 47; '' when the author gave the text without a language. */
  readonly lang: string;
  /** For the attribute dir of the element that holds it. */
  readonly dir: 'ltr' | 'rtl' | 'auto';
}

/** An amount of money: text is how it is written in the viewer's language. */
export interface Price extends Text {
  /** Decimal number as in the document: "19.99". */
  readonly value: string;
  /** ISO 4217. */
  readonly currency: string;
}

/** schema.org ItemAvailability, without its prefix. */
export type Availability = 'InStock' | 'OutOfStock' | 'LimitedAvailability' | 'PreOrder' | 'SoldOut';

/** A flash sale. */
export interface Promotion {
  readonly label: Text;
  /** null: it is on already. */
  readonly startsAt: Date | null;
  readonly endsAt: Date;
}

/** A code that the viewer enters in the shop. */
export interface Coupon {
  readonly code: string;
  readonly label: Text | null;
  /** null: open end. */
  readonly endsAt: Date | null;
}

/** Something that viewers can claim for a while. */
export interface Giveaway {
  readonly label: Text;
  readonly opensAt: Date;
  readonly closesAt: Date;
  /** How many there are; null when the author does not say. */
  readonly quantity: number | null;
  /** Where to claim it; https. */
  readonly url: string | null;
}

/** A product card as one viewer gets it. What the document does not have is null. */
export interface Card {
  readonly id: string;
  readonly rev: number;
  readonly name: Text;
  readonly description: Text | null;
  /** Addresses are https and absolute. */
  readonly image: string | null;
  readonly url: string | null;
  readonly brand: string | null;
  readonly sku: string | null;
  readonly gtin: string | null;
  /** Of the offer that fits the viewer best; all four are null when the card has none. */
  readonly price: Price | null;
  /** The lowest price of the 30 days before (EU directive 98/6/EC, Article 6a). */
  readonly priorPrice: Price | null;
  readonly availability: Availability | null;
  readonly inventoryLevel: number | null;
  readonly promotion: Promotion | null;
  readonly coupon: Coupon | null;
  readonly giveaway: Giveaway | null;
  /** That this is advertising, in the words of the author. */
  readonly disclosure: Text | null;
}

/** Whom a card is localised for. */
export interface Viewer {
  /** BCP 47, the preferred one first. */
  readonly languages: readonly string[];
  /**
   * ISO 3166-1 alpha-2. Given, offers that are not for the region are left out; without it the languages' region decides
   * between offers, but hides none.
   */
  readonly region?: string | undefined;
  /** ISO 4217; without it the region's. */
  readonly currency?: string | undefined;
}

/** Settings of attach; all may be left out. */
export interface Options {
  /** Default: the browser's. */
  readonly languages?: string | readonly string[] | undefined;
  readonly region?: string | undefined;
  readonly currency?: string | undefined;
  /** Address below which the card documents are. Default: cards/ beside the playlist. */
  readonly documents?: string | undefined;
  /** Address of the node's public keys. Default: /.well-known/jwks.json on the playlist's host. */
  readonly jwks?: string | undefined;
  /** Name of the stream that states must be of. Default: that of the folder that the playlist is in. */
  readonly stream?: string | undefined;
  /**
   * 'auto' checks signatures wherever the browser has Ed25519, and shows unsigned cards where it has not. 'require' shows
   * nothing that was not checked. 'off' checks nothing. Default: 'auto'.
   */
  readonly verify?: 'auto' | 'require' | 'off' | undefined;
  /** Documents of cards that are to be shown within this time are fetched ahead; s, default 20. */
  readonly lookahead?: number | undefined;
  /** In place of the browser's. */
  readonly fetch?: typeof fetch | undefined;
}

/** A card that a slot shows. */
export interface Shown {
  readonly slot: string;
  readonly card: Card;
  /** Whether the signature of the state that shows it was checked and is right. */
  readonly verified: boolean;
}

/**
 * A card comes, changes or goes: show, update (another revision of the same card, or verified has changed) and hide. prepare
 * says that a card will be shown soon, so that its picture can be loaded.
 */
export interface CardEvent extends Event, Shown {
  readonly type: 'prepare' | 'show' | 'update' | 'hide';
  readonly rev: number;
  /** Of the picture with which it happens, in the element's time; of prepare: with which it will. s */
  readonly mediaTime: number;
  /** When the revision began to be shown there; null when that is not known. */
  readonly since: Date | null;
  /** Stream time: when the picture that is shown now was taken. */
  date(): Date;
}

/** Why a state is not shown. */
export type Reason =
  | 'signature' // it was altered, or signed by somebody else
  | 'unknown-key' // the node has published no such key
  | 'stream' // it is of another stream
  | 'malformed' // it is not what a node writes
  | 'unsupported'; // verify is 'require' and this browser has no Ed25519

/** A state is not shown. Reported once for each state. */
export interface RejectedEvent extends Event {
  readonly type: 'rejected';
  readonly reason: Reason;
  readonly mediaTime: number;
}

/** The events of Cards by name. */
export interface CardsEvents {
  prepare: CardEvent;
  show: CardEvent;
  update: CardEvent;
  hide: CardEvent;
  rejected: RejectedEvent;
}

/** Tells of what is in CardsEvents. */
export interface CardsTarget extends EventTarget {
  addEventListener<K extends keyof CardsEvents>(
    type: K,
    listener: (event: CardsEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof CardsEvents>(
    type: K,
    listener: (event: CardsEvents[K]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

/** The cards of one video element. */
export interface Cards extends CardsTarget {
  /** What is shown now, by slot. */
  readonly shown: ReadonlyMap<string, Shown>;
  /** Stream time: when the picture that is shown now was taken. */
  date(): Date;
  /** Goes on with another player, or another instance, on the same element. What is shown stays until its first picture. */
  use(player: Player): void;
  /** Hides everything and forgets what it knows of the timeline, as after the end of a show. */
  clear(): void;
  /** Hides everything and lets player and element go. */
  detach(): void;
}

/** A card's time in a playlist (EXT-X-DATERANGE). */
export interface Range {
  readonly id: string;
  /** SLOT/CARD/REV. */
  readonly value: string;
  /** In the element's time; s. end is Infinity while it is open. */
  readonly start: number;
  readonly end: number;
}

/** Takes what a Feed finds. */
export interface Sink {
  /** A signed state that holds from a time on, in the element's time; s. The same one may be told any number of times. */
  message(time: number, token: string): void;
  /** All cards that the playlist knows of, whenever that changes. */
  ranges(list: readonly Range[]): void;
  /** From here on times are on another timeline. */
  restart(): void;
}

/** A Feed finds what a player knows of cards. Its player is whatever it was made from. */
export interface Feed {
  /** Begins; once. */
  open(video: HTMLVideoElement, sink: Sink): void;
  /** Ends; nothing is told any more. */
  close(): void;
  /** Address of the playlist; null while it is not known. */
  address(): string | null;
  /** When the picture at a time was taken, in ms since 1970; null when that is not known. */
  dateAt(time: number): number | null;
  /** How old the picture on the screen is, by the player's own account; s, null when it has none. */
  latency(): number | null;
}

/** A Feed, an instance of hls.js, a shaka.Player, or null where the browser plays HLS by itself. */
export type Player = Feed | object | null | undefined;

/** What is left until a moment, in whole seconds. */
export interface Left {
  readonly days: number;
  readonly hours: number;
  readonly minutes: number;
  readonly seconds: number;
  /** Altogether. */
  readonly total: number;
}
