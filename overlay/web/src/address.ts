/** What stands in front of a signed address, as in /p/TOKEN/watch/NAME; '' in front of any other. All that it opens begins with it. */
export function signedPrefix(pathname: string): string {
  return /^\/p\/[^/]+(?=\/)/.exec(pathname)?.[0] ?? '';
}

/** The stream's name: what follows the page's own name in the address, as in /watch/NAME. */
export function streamName(pathname: string): string {
  const name = pathname.slice(signedPrefix(pathname).length).replace(/^\/[^/]+\//, '').replace(/\/+$/, '');
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** A secret in an address's fragment, such as #token=...; null when there is none. A plus sign stands for itself. */
export function secretIn(hash: string, name: string): string | null {
  for (const part of hash.replace(/^#/, '').split('&')) {
    if (!part.startsWith(`${name}=`)) continue;
    const raw = part.slice(name.length + 1);
    try {
      return decodeURIComponent(raw);
    } catch {
      return raw;
    }
  }
  return null;
}

/** Takes a secret out of the page's address, bar and history, and returns it. */
export function takeSecret(name: string): string | null {
  const secret = secretIn(location.hash, name);
  if (secret !== null) history.replaceState(history.state, '', location.pathname + location.search);
  return secret;
}

/** Whether a secret can be sent in a header at all: visible ASCII characters. */
export function sendable(secret: string): boolean {
  return /^[\x21-\x7e]+$/.test(secret);
}
