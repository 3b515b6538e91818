// The parts of the studio that the tests look at, in one graph of modules, so that all of them mean the same classes.
export { Api, Failure, failure, idempotencyKey } from '../src/studio/api';
export * as cards from '../src/studio/cards';
export { ServerClock } from '../src/studio/clock';
export { Commands, sentence } from '../src/studio/commands';
export { Feed } from '../src/studio/feed';
export { regions, toCard, toForm } from '../src/studio/form';
export { facts, ladderState, rungState } from '../src/studio/health';
export { command } from '../src/studio/keys';
export { label, segments } from '../src/studio/labels';
export { changes, diff, rebase, same } from '../src/studio/merge';
export { aside, landing, move } from '../src/studio/order';
export { sendable, Session, streamName, tokenIn } from '../src/studio/session';
export { EventParser } from '../src/studio/sse';
export { Store } from '../src/studio/store';
export { studioStrings } from '../src/studio/strings';
export * as times from '../src/studio/times';
export { cardOf, exported, readCards } from '../src/studio/transfer-data';
