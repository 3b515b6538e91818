import { element } from '../element';
import { Api, Failure } from './api';
import { ServerClock } from './clock';
import { sendable, Session, takeToken } from './session';
import type { StudioStrings } from './strings';
import type { Access } from './types';

/** A token that is good, and for what. */
export interface Entered {
  readonly token: string;
  readonly access: Access;
}

/** Looks what a token is good for; what the node says otherwise. */
async function tried(stream: string, token: string, s: StudioStrings): Promise<Access | string> {
  if (!sendable(token)) return s.tokenWrong(stream);
  try {
    const api = new Api(stream, token, new ServerClock());
    const [access] = await Promise.all([api.read<Access>('/access'), api.read('/slots')]);
    return access;
  } catch (error) {
    if (!(error instanceof Failure) || error.status === 0) return s.nodeSilent;
    if (error.status === 401 || error.status === 403) return s.tokenWrong(stream);
    return error.detail || s.refused(error.status);
  }
}

/** Login gets the operator's token: from the address, from this tab's memory, or from the reader. */
export class Login {
  private readonly form = element('login', HTMLFormElement);
  private readonly input = element('login-token', HTMLInputElement);
  private readonly error = element('login-error', HTMLElement);
  private readonly enter = element('login-enter', HTMLButtonElement);

  constructor(
    private readonly stream: string,
    private readonly session: Session,
    private readonly s: StudioStrings,
    private readonly entered: (entered: Entered) => void,
  ) {
    element('login-title', HTMLElement).textContent = s.loginTitle(stream);
    element('login-label', HTMLElement).textContent = s.token;
    element('login-hint', HTMLElement).textContent = s.tokenHint;
    this.enter.textContent = s.enter;
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.attempt(this.input.value.trim());
    });
    // An address with another token, put into the bar of the same page.
    window.addEventListener('hashchange', () => {
      const token = takeToken();
      if (token !== null) void this.attempt(token);
    });
  }

  /** Begins: with a token that is there, else by asking for one. why is what the reader is told first. */
  async start(): Promise<void> {
    const token = takeToken() ?? this.session.token;
    if (token === null) this.prompt('');
    else await this.attempt(token);
  }

  private prompt(why: string): void {
    this.form.hidden = false;
    this.error.textContent = why;
    this.input.setAttribute('aria-invalid', String(why !== ''));
    this.input.focus();
  }

  private async attempt(token: string): Promise<void> {
    this.enter.disabled = true;
    const access = await tried(this.stream, token, this.s);
    this.enter.disabled = false;
    if (typeof access === 'string') {
      if (access === this.s.tokenWrong(this.stream)) this.session.token = null;
      this.prompt(access);
      return;
    }
    this.session.token = token;
    this.input.value = '';
    this.form.hidden = true;
    this.entered({ token, access });
  }
}
