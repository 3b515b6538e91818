import { sizeName, soundName, type Choices } from './choices';
import { element } from './element';
import type { Source } from './source';
import type { Strings } from './strings';

/** Fills a list with what there is, where that differs, and hides it where there is nothing to choose. */
function fill(select: HTMLSelectElement, options: readonly (readonly [string, string])[], chosen: string): void {
  const key = JSON.stringify(options);
  if (select.dataset['options'] !== key) {
    select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
    select.dataset['options'] = key;
  }
  select.value = chosen;
}

/** Menus let viewers choose among a stream's sounds and sizes. */
export class Menus {
  private readonly sounds = element('sounds', HTMLSelectElement);
  private readonly sizes = element('sizes', HTMLSelectElement);
  private source: Source | null = null;

  constructor(
    choices: Choices,
    private readonly lang: string,
    private readonly strings: Strings,
  ) {
    const { sounds, sizes } = this;
    for (const [select, label] of [
      [sounds, strings.sound],
      [sizes, strings.size],
    ] as const) {
      select.ariaLabel = label;
      if (select.parentElement) select.parentElement.title = label;
    }
    sounds.addEventListener('change', () => {
      if (this.source) choices.chooseSound(this.source, Number(sounds.value));
    });
    sizes.addEventListener('change', () => {
      if (this.source) choices.chooseSize(this.source, sizes.value === '' ? null : Number(sizes.value));
    });
  }

  /** Shows what a source has. */
  show(source: Source): void {
    this.source = source;
    const { lang, strings } = this;
    const { sounds, sizes } = source;
    fill(this.sounds, sounds.map((sound) => [String(sound.id), soundName(sound, lang, strings.soundNumber)]), String(source.sound));
    fill(
      this.sizes,
      [['', strings.automatic], ...sizes.map((size) => [String(size.id), sizeName(size, sizes, strings.original)] as const)],
      source.size === null ? '' : String(source.size),
    );
    element('sounds-label', HTMLElement).hidden = sounds.length < 2;
    element('sizes-label', HTMLElement).hidden = sizes.length < 2;
  }
}
