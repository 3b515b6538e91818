import { secretIn, takeSecret } from '../address';

export { sendable, streamName } from '../address';

/** The token in an address's fragment, #token=...; null when there is none. */
export function tokenIn(hash: string): string | null {
  return secretIn(hash, 'token');
}

/** The little of the browser's storage that is used; it throws where the browser forbids it. */
type Keep = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** Session keeps the operator's token of a stream for as long as the tab is open, and nowhere else. */
export class Session {
  private readonly key: string;
  private memory: string | null = null;

  constructor(
    stream: string,
    private readonly keep: () => Keep = () => sessionStorage,
  ) {
    this.key = `pushcart.studio.${stream}`;
  }

  get token(): string | null {
    try {
      return this.keep().getItem(this.key) ?? this.memory;
    } catch {
      return this.memory;
    }
  }

  set token(token: string | null) {
    this.memory = token;
    try {
      if (token === null) this.keep().removeItem(this.key);
      else this.keep().setItem(this.key, token);
    } catch {
      // Without storage the token is asked for again after the page is loaded again.
    }
  }
}

/** Takes the token out of the page's address, bar and history, and returns it. */
export function takeToken(): string | null {
  return takeSecret('token');
}
