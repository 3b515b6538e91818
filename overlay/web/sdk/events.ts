import type { Card, CardEvent, Reason, RejectedEvent, Shown } from './types';

/** Makes the event of a card that comes, changes or goes. */
export class CardChange extends Event implements CardEvent {
  declare readonly type: CardEvent['type'];
  readonly slot: string;
  readonly card: Card;
  readonly verified: boolean;
  readonly since: Date | null;

  constructor(
    type: CardEvent['type'],
    shown: Shown & { readonly since: number | null },
    readonly mediaTime: number,
    private readonly clock: () => Date,
  ) {
    super(type);
    this.slot = shown.slot;
    this.card = shown.card;
    this.verified = shown.verified;
    this.since = shown.since === null ? null : new Date(shown.since);
  }

  get rev(): number {
    return this.card.rev;
  }

  date(): Date {
    return this.clock();
  }
}

/** Makes the event of a state that is not shown. */
export class Rejection extends Event implements RejectedEvent {
  declare readonly type: 'rejected';

  constructor(
    readonly reason: Reason,
    readonly mediaTime: number,
  ) {
    super('rejected');
  }
}
