import { en } from './strings-en';
import { es } from './strings-es';
import { zh } from './strings-zh';
import type { Mistake } from './form';
import type { Availability } from './types';

/** The studio's words in one language. */
export interface StudioStrings {
  // The way in.
  readonly title: (stream: string) => string;
  readonly loginTitle: (stream: string) => string;
  readonly token: string;
  readonly tokenHint: string;
  readonly tokenWrong: (stream: string) => string;
  readonly nodeSilent: string;
  readonly enter: string;
  readonly leave: string;

  // The connection.
  readonly connecting: string;
  readonly lost: string;
  readonly lostMore: string;
  readonly readOnly: string;
  readonly retry: string;
  readonly notConnected: string;
  readonly noAnswer: string;
  readonly refused: (status: number) => string;

  // Parts of the page.
  readonly productsTab: string;
  readonly onAirTab: string;
  readonly viewersTab: string;
  readonly timelineTab: string;
  readonly streamTab: string;
  readonly tabs: string;
  readonly preview: string;
  readonly latency: (seconds: string) => string;

  // Buttons that many parts have.
  readonly close: string;
  readonly cancel: string;
  readonly save: string;
  readonly edit: string;
  readonly more: string;
  readonly moreOf: (name: string) => string;

  // What is on air.
  readonly onAir: string;
  readonly offAir: string;
  readonly onAirIn: (slots: string) => string;
  readonly onAirNow: string;
  readonly nothingShown: (slot: string) => string;
  readonly slots: string;
  readonly slotOnAir: (slot: string) => string;
  readonly addSlot: string;
  readonly slotName: string;
  readonly slotNameWrong: string;
  readonly slotHint: string;
  readonly choose: string;
  readonly chooseSlot: (slot: string) => string;
  readonly show: string;
  readonly showCard: (name: string, slot: string) => string;
  readonly hide: string;
  readonly hideCard: (name: string, slot: string) => string;
  readonly hideAll: string;
  readonly isOnAir: (name: string, slot: string) => string;
  readonly isHidden: (slot: string) => string;

  // What is to happen later.
  readonly showLater: string;
  readonly showLaterTitle: (name: string, slot: string) => string;
  readonly hideLater: string;
  readonly hideLaterTitle: (slot: string) => string;
  readonly inTime: (time: string) => string;
  readonly atTime: string;
  readonly schedule: string;
  readonly scheduled: string;
  readonly timePassed: string;
  readonly clockWrong: (by: string) => string;
  readonly isScheduled: (name: string, slot: string) => string;
  readonly hideScheduled: (slot: string) => string;
  readonly isCancelled: string;
  readonly showIn: (name: string, slot: string, left: string) => string;
  readonly hideIn: (slot: string, left: string) => string;
  readonly seconds: (n: number) => string;
  readonly minutes: (n: number) => string;

  // The list.
  readonly products: string;
  readonly search: string;
  readonly foundCards: (n: number, of: number) => string;
  readonly noCards: string;
  readonly noCardsMore: string;
  readonly add: string;
  readonly duplicate: string;
  readonly lookAs: string;
  readonly moveUp: string;
  readonly moveDown: string;
  readonly moveCard: (name: string, place: number, of: number) => string;
  readonly isSorted: string;
  readonly remove: string;
  readonly removeTitle: (name: string) => string;
  readonly removeWhat: string;
  readonly isDeleted: (name: string) => string;
  readonly cardGone: string;
  readonly noOffer: string;
  readonly moreOffers: (n: number) => string;
  readonly left: (n: number) => string;
  readonly soldOut: string;

  // Quick changes.
  readonly setPrice: string;
  readonly priceChanged: string;
  readonly oneLess: string;
  readonly oneMore: string;
  readonly notCounted: string;
  readonly saving: (value: string) => string;
  readonly stockChanged: string;
  readonly backInStock: string;
  readonly nowSoldOut: string;
  readonly nowInStock: string;
  readonly flashSale: string;
  readonly saleIn: (left: string) => string;
  readonly saleFor: (left: string) => string;
  readonly saleOver: string;
  readonly saleStarted: (long: string) => string;
  readonly saleEnded: string;
  readonly endNow: string;
  readonly coupon: string;
  readonly giveaway: string;
  readonly giveawayIn: (left: string) => string;
  readonly giveawayFor: (left: string) => string;
  readonly giveawayOver: string;
  readonly giveawayOpened: (long: string) => string;
  readonly giveawayClosed: string;
  readonly closeNow: string;

  // The form.
  readonly editTitle: (name: string) => string;
  readonly copyTitle: (name: string) => string;
  readonly name: string;
  readonly description: string;
  readonly id: string;
  readonly idHint: string;
  readonly idFixed: string;
  readonly image: string;
  readonly url: string;
  readonly urlHint: string;
  readonly brand: string;
  readonly sku: string;
  readonly gtin: string;
  readonly offers: string;
  readonly offer: (n: number) => string;
  readonly addOffer: string;
  readonly removeOffer: string;
  readonly price: string;
  readonly currency: string;
  readonly priorPrice: string;
  readonly priorPriceHint: string;
  readonly stock: string;
  readonly availabilityLabel: string;
  readonly availability: Readonly<Record<Availability, string>>;
  readonly eligible: string;
  readonly ineligible: string;
  readonly regionsHint: string;
  readonly offerURL: string;
  readonly details: string;
  readonly promotions: string;
  readonly rules: string;
  readonly cardRegions: string;
  readonly disclosure: string;
  readonly labelText: string;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly code: string;
  readonly opensAt: string;
  readonly closesAt: string;
  readonly quantity: string;
  readonly claimURL: string;
  readonly languageOf: (label: string) => string;
  readonly allLanguages: string;
  readonly addLanguage: string;
  readonly removeLanguage: string;
  readonly mistakes: Readonly<Record<Mistake['what'], string>>;
  readonly isSaved: (name: string) => string;
  readonly discardTitle: string;
  readonly discardWhat: string;
  readonly discard: string;
  readonly keepEditing: string;
  /** What keys of the document are called. */
  readonly fields: Readonly<Record<string, string>>;

  // Somebody else was faster.
  readonly conflictTitle: string;
  readonly conflictWhat: string;
  readonly conflictTheirs: string;
  readonly conflictMine: string;
  readonly conflictApply: string;
  readonly conflictKeep: string;
  readonly nothing: string;

  // Import and export.
  readonly transfer: string;
  readonly import: string;
  readonly export: string;
  readonly dropHere: string;
  readonly pasteHere: string;
  readonly replaceList: string;
  readonly replaceLoses: (n: number) => string;
  readonly foundIn: (n: number) => string;
  readonly importing: (n: number, of: number) => string;
  readonly imported: (n: number) => string;
  readonly importedSome: (n: number, of: number) => string;
  readonly cardAt: (place: number, name: string) => string;
  readonly cardWithoutID: (place: number) => string;
  readonly notJSON: (detail: string) => string;
  readonly notCards: string;
  readonly nothingToImport: string;
  readonly fileTooLarge: string;
  readonly download: string;
  readonly copy: string;
  readonly copied: string;

  // What viewers see.
  readonly region: string;
  readonly anyRegion: string;
  readonly language: string;
  readonly card: string;
  readonly cardInSlot: (slot: string) => string;
  readonly nothingToSee: string;
  readonly withheld: (region: string) => string;
  readonly noPreview: string;

  // The timeline.
  readonly noTimeline: string;
  readonly shownWhen: (time: string, slot: string, rev: number, source: string) => string;
  /** Who asked for a command, by the node's word for it. */
  readonly sources: Readonly<Record<string, string>>;

  // The stream.
  readonly live: string;
  readonly away: string;
  readonly awayFor: (left: string) => string;
  readonly notLive: string;
  readonly notLiveMore: string;
  readonly watching: (viewers: number) => string;
  readonly viewersNow: string;
  readonly bitrate: string;
  readonly video: string;
  readonly frameRate: string;
  readonly perSecond: (n: string) => string;
  readonly keyframes: string;
  readonly audio: string;
  readonly drops: string;
  readonly reconnects: string;
  readonly since: string;
  readonly protocol: string;
  readonly none: string;
  readonly ladder: string;
  /** The states of a ladder and of its rungs, by the node's words for them. */
  readonly ladderStates: Readonly<Record<string, string>>;
  readonly ladderModes: Readonly<Record<string, string>>;
  readonly encoder: (backend: string) => string;
  readonly behindSource: (seconds: string) => string;
  readonly watchPage: string;
  readonly inBandTitle: string;
  readonly inBand: string;
  readonly inBandOn: string;
  readonly inBandOff: string;
  readonly inBandRefused: (count: number, when: string, why: string) => string;

  // Keys.
  readonly help: string;
  /** What keys do: the key as it is written on the keyboard, then the words. */
  readonly keys: readonly (readonly [string, string])[];
}

/** What a flash sale is called where the host says nothing else. */
export const saleLabel = { de: 'Blitzangebot', en: 'Flash sale', es: 'Oferta relámpago', fr: 'Vente flash', zh: '限时抢购' };

const tables: ReadonlyMap<string, StudioStrings> = new Map([
  ['en', en],
  ['zh', zh],
  ['es', es],
]);

/** The studio's words in a language that the pages have. */
export function studioStrings(lang: string): StudioStrings {
  return tables.get(lang) ?? en;
}
