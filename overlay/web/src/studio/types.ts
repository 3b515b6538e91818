/** What a token is good for, and where the stream can be watched: GET .../access. */
export interface Access {
  readonly role: string;
  readonly watch: string;
  readonly playlist: string;
}

/** Words for everybody, or by language tag. */
export type Text = string | Readonly<Record<string, string>>;

export const availabilities = ['InStock', 'LimitedAvailability', 'PreOrder', 'OutOfStock', 'SoldOut'] as const;
export type Availability = (typeof availabilities)[number];

/** One price of a product; money is a decimal string. */
export interface Offer {
  price: string;
  priceCurrency: string;
  availability?: Availability;
  inventoryLevel?: number;
  eligibleRegion?: readonly string[];
  ineligibleRegion?: readonly string[];
  url?: string;
  'pushcart:priorPrice'?: string;
}

/** A flash sale; times are RFC 3339. */
export interface Promotion {
  label: Text;
  startsAt?: string;
  endsAt: string;
}

export interface Coupon {
  code: string;
  label: Text;
  endsAt?: string;
}

/** A red envelope, which can be claimed between two times. */
export interface Giveaway {
  label: Text;
  opensAt: string;
  closesAt: string;
  quantity?: number;
  url: string;
}

/** A card document. */
export interface Card {
  id: string;
  '@type'?: string;
  name: Text;
  description?: Text;
  image?: string;
  url?: string;
  brand?: string;
  sku?: string;
  gtin?: string;
  offers?: readonly Offer[];
  eligibleRegion?: readonly string[];
  ineligibleRegion?: readonly string[];
  'pushcart:promotion'?: Promotion;
  'pushcart:coupon'?: Coupon;
  'pushcart:giveaway'?: Giveaway;
  'pushcart:disclosure'?: Text;
}

/** A card of the list, in a revision. */
export interface CardView {
  readonly id: string;
  readonly rev: number;
  readonly updated_at: string;
  readonly card: Card;
}

/** A slot that shows a card. */
export interface SlotView {
  readonly slot: string;
  readonly card: string;
  readonly rev: number;
  readonly since: string;
}

/** A command that waits for its time. */
export interface ScheduledView {
  readonly id: string;
  readonly op: string;
  readonly slot: string;
  readonly card?: string;
  readonly at: string;
}

/** A line of the timeline; without to it is shown still. */
export interface ShownView {
  readonly slot: string;
  readonly card: string;
  readonly rev: number;
  readonly from: string;
  readonly to?: string;
  readonly source: string;
}

/** Everything about a stream's cards at one moment. */
export interface View {
  readonly stream: string;
  readonly epoch: number;
  readonly seq: number;
  readonly slots: readonly SlotView[];
  readonly cards: readonly CardView[];
  readonly list: number;
  readonly scheduled: readonly ScheduledView[];
  readonly timeline: readonly ShownView[];
  readonly in_band: boolean;
  readonly in_band_refusal?: {
    readonly at: string;
    readonly source: string;
    readonly field?: string;
    readonly message: string;
    readonly count: number;
  };
}

/** What became of a command. */
export interface Result {
  readonly epoch: number;
  readonly seq: number;
  readonly card?: string;
  readonly rev?: number;
  readonly slot?: string;
  readonly schedule?: string;
  readonly at?: string;
  readonly created?: boolean;
  readonly cards?: number;
}

/** The little of GET /api/v1/streams/NAME that is shown. */
export interface StreamInfo {
  readonly state: string;
  readonly protocol: string;
  readonly agent?: string;
  readonly started_at: string;
  readonly waiting_until?: string;
  readonly reconnects: number;
  readonly viewers: number;
  readonly bitrate_bps: number;
  readonly keyframe_interval_seconds?: number;
  readonly tracks: readonly {
    readonly kind: string;
    readonly codec: string;
    readonly bitrate_bps: number;
    readonly width?: number;
    readonly height?: number;
    readonly frame_rate?: number;
    readonly sample_rate?: number;
    readonly channels?: number;
  }[];
  readonly drops: Readonly<Record<string, number>>;
  readonly advice: readonly string[];
  readonly ladder?: LadderInfo;
}

/** What is made of a stream. */
export interface LadderInfo {
  readonly name: string;
  /** Whether rungs come soon or look better; '' where nothing but conversions is made. */
  readonly mode: string;
  readonly state: string;
  readonly reason?: string;
  readonly backend?: string;
  readonly rungs: readonly RungInfo[];
  readonly converts: readonly string[];
}

/** One rendition of a ladder. */
export interface RungInfo {
  readonly name: string;
  readonly bitrate_bps: number;
  readonly measured_bps: number;
  readonly lag_seconds: number;
  readonly state: string;
  readonly reason?: string;
}
