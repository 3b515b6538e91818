/** Whom the page is for: the browser's languages, unless the address says otherwise (?lang=de&region=AT). */
export interface PageViewer {
  readonly languages: readonly string[];
  readonly region: string | undefined;
}

/** Reads the query of an address; what is no language or region is passed over. */
export function viewerOf(query: string, languages: readonly string[]): PageViewer {
  const given = new URLSearchParams(query);
  const lang = given.get('lang') ?? '';
  const region = given.get('region')?.toUpperCase() ?? '';
  return {
    languages: /^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/.test(lang) ? [lang, ...languages] : languages,
    region: /^[A-Z]{2}$/.test(region) ? region : undefined,
  };
}
