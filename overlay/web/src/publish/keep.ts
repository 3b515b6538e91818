/** The little of the browser's storage that is used; it throws where the browser forbids it. */
type Store = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/**
 * Keep has a stream's key: for as long as the tab is open, and on the device only where the host wishes it. Without storage
 * the key is asked for again after the page is loaded again.
 */
export class Keep {
  private readonly name: string;

  constructor(
    stream: string,
    private readonly tab: () => Store = () => sessionStorage,
    private readonly device: () => Store = () => localStorage,
  ) {
    this.name = `pushcart.publish.${stream}`;
  }

  /** The key; null when there is none. */
  get key(): string | null {
    return this.read(this.tab) ?? this.read(this.device);
  }

  /** Whether the key is kept on the device. */
  get remembered(): boolean {
    return this.read(this.device) !== null;
  }

  save(key: string, remember: boolean): void {
    this.write(this.tab, key);
    this.write(this.device, remember ? key : null);
  }

  forget(): void {
    this.write(this.tab, null);
    this.write(this.device, null);
  }

  private read(store: () => Store): string | null {
    try {
      return store().getItem(this.name);
    } catch {
      return null;
    }
  }

  private write(store: () => Store, value: string | null): void {
    try {
      if (value === null) store().removeItem(this.name);
      else store().setItem(this.name, value);
    } catch {
      // See above.
    }
  }
}
