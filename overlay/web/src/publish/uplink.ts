import { Backoff } from '../backoff';
import { Failure } from '../problem';
import type { Clock } from './clock';

/** The states of a show's connection. */
export type UplinkState =
  | 'off' // nobody has gone live
  | 'connecting' // for the first time
  | 'live'
  | 'recovering' // media are interrupted; the session is being mended
  | 'waiting' // for the next try
  | 'offline' // the device has no network
  | 'taken' // another device publishes with the same key
  | 'refused'; // the node said no, and would again

/** What a link tells of itself: gone is an end that came from the node. */
export type LinkState = 'connected' | 'disconnected' | 'failed' | 'gone';

/** One session with the node. */
export interface Link {
  /** Told of each change, from open on. */
  onstate: (state: LinkState) => void;
  /** Offers the media; returns when the node has answered. A Failure when it did not take them. */
  open(): Promise<void>;
  /** Looks for a new way to the node within the session; a Failure when the node will not. */
  restart(): Promise<void>;
  /** Whether the browser believes that media get through. */
  readonly alive: boolean;
  /** Lets everything go; goodbye tells the node. */
  close(goodbye: boolean): void;
}

/** What an Uplink needs of the world. */
export interface World {
  readonly clock: Clock;
  makeLink(): Link;
  /** Whether the node has the stream live at this moment. */
  liveOnNode(): Promise<boolean>;
  online(): boolean;
}

/** From the first word to media that flow; ms. */
const connectWithin = 15_000;
/** How long an interruption may last before something is done: most end by themselves; ms. */
const patience = 1500;
/** How long a restart may take before a new session is begun; ms. */
const restartWithin = 6000;
/** How long the node may take to say whether somebody else is live; ms. */
const askWithin = 5000;
/** Waits between tries; ms. */
const firstWait = 400;
const longestWait = 8000;
/** So many sessions that the node took but that no media got through to, and that is said. */
const blockedAfter = 2;

/** Whether a node that said no may say yes to the same a little later. */
function passing(failure: Failure): boolean {
  return failure.status === 0 || failure.status >= 500 || [408, 425, 429].includes(failure.status);
}

/**
 * Uplink keeps a show connected: when media stop flowing it first looks for another way within the session (a phone that
 * went from Wi-Fi to 5G keeps it), then begins a new one, which takes over at the node at once, and so on with growing waits
 * until it is told to end. It gives up on refusals only, and does not fight another device for the stream.
 */
export class Uplink {
  /** Called after each change of state or detail. */
  onchange: () => void = () => {};

  private current: UplinkState = 'off';
  private last: Failure | null = null;
  private link: Link | null = null;
  /** Whether media have flowed over the present link, and whether a restart is under way. */
  private connected = false;
  private restarting = false;
  private unheard = 0;
  /** Rises with each end of a link: what was asked before is of no interest any more. */
  private turn = 0;
  /** Calls off the one timer that runs. */
  private disarm: () => void = () => {};
  private readonly backoff: Backoff;

  constructor(
    private readonly world: World,
    random: () => number = Math.random,
  ) {
    this.backoff = new Backoff(firstWait, longestWait, random);
  }

  get state(): UplinkState {
    return this.current;
  }

  /** What is in the way: a status of 0 is no answer, null nothing that was told. */
  get failure(): Failure | null {
    return this.last;
  }

  /** Whether sessions are taken but no media get through: a firewall, as a rule. */
  get blocked(): boolean {
    return this.unheard >= blockedAfter;
  }

  /** Whether the show is to go on: from start to end, or until it is refused or taken over. */
  get wanted(): boolean {
    return !['off', 'refused', 'taken'].includes(this.current);
  }

  /** Goes live, or takes the stream back. */
  start(): void {
    if (this.wanted) return;
    this.unheard = 0;
    this.backoff.reset();
    this.become('connecting');
    this.attempt();
  }

  /** Ends the show. */
  end(): void {
    this.drop(true);
    this.become('off');
  }

  /** The device is on another network, or on one again. */
  networkChanged(): void {
    if (!this.wanted) return;
    if (this.connected && !this.restarting) this.restart();
    else if (this.current === 'waiting' || this.current === 'offline') this.attempt();
  }

  /** The device says that it has no network. */
  networkLost(): void {
    // It may be wrong about that: media that flow count for more.
    if (this.current === 'recovering' || this.current === 'waiting') this.become('offline', this.last);
  }

  private attempt(): void {
    this.drop(false);
    const link = this.world.makeLink();
    const present = () => this.link === link;
    this.link = link;
    if (this.current !== 'connecting') this.become(this.world.online() ? 'recovering' : 'offline', this.last);
    link.onstate = (state) => {
      if (present()) this.heard(state);
    };
    let answered = false;
    this.arm(connectWithin, () => {
      if (answered) this.unheard++;
      this.again();
    });
    link.open().then(
      () => {
        answered = true;
      },
      (error: unknown) => {
        if (present()) this.failed(error);
      },
    );
  }

  private failed(error: unknown): void {
    if (error instanceof Failure && passing(error)) {
      this.again(error);
      return;
    }
    // What is no Failure came from the browser: it cannot, and could not the next time.
    this.drop(false);
    const said = error instanceof Error ? error.message : String(error);
    this.become('refused', error instanceof Failure ? error : new Failure(-1, said));
  }

  /** Tries again, after a wait. */
  private again(why: Failure | null = null): void {
    this.drop(false);
    this.become(this.world.online() ? 'waiting' : 'offline', why);
    this.arm(Math.max(why?.pause ?? 0, this.backoff.delay()), () => this.attempt());
  }

  private heard(state: LinkState): void {
    switch (state) {
      case 'connected':
        this.disarm();
        this.connected = true;
        this.restarting = false;
        this.unheard = 0;
        this.backoff.reset();
        this.become('live');
        break;
      case 'disconnected':
        if (!this.connected || this.restarting) break;
        this.become('recovering');
        this.arm(patience, () => this.restart());
        break;
      case 'failed':
        if (this.restarting) break;
        if (this.connected) this.restart();
        else {
          this.unheard++;
          this.again();
        }
        break;
      case 'gone':
        void this.lost();
        break;
    }
  }

  private restart(): void {
    const { link } = this;
    if (!link) return;
    this.restarting = true;
    this.become('recovering');
    this.arm(restartWithin, () => {
      // Where the way was good all the time, nothing is told of it.
      if (link.alive) this.heard('connected');
      else this.again();
    });
    link.restart().catch((error: unknown) => {
      if (this.link !== link) return;
      if (error instanceof Failure && (error.status === 404 || error.status === 410)) void this.lost(error);
      else this.again(error instanceof Failure ? error : null);
    });
  }

  /** The node has ended the session. If the stream is live all the same, somebody else is at it. */
  private async lost(why: Failure | null = null): Promise<void> {
    this.drop(false);
    const { turn } = this;
    this.become('recovering');
    this.arm(askWithin, () => this.again(why));
    const taken = await this.world.liveOnNode().catch(() => false);
    if (this.turn !== turn) return;
    this.disarm();
    if (taken) this.become('taken', why);
    else this.again(why);
  }

  /** Lets the present link go, and every wait. */
  private drop(goodbye: boolean): void {
    this.disarm();
    this.disarm = () => {};
    this.turn++;
    const { link } = this;
    this.link = null;
    this.connected = this.restarting = false;
    link?.close(goodbye);
  }

  private arm(ms: number, f: () => void): void {
    this.disarm();
    this.disarm = this.world.clock.after(ms, f);
  }

  private become(state: UplinkState, why: Failure | null = null): void {
    if (state === this.current && why === this.last) return;
    this.current = state;
    this.last = why;
    this.onchange();
  }
}
