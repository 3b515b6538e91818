/** Failure is a request that was not granted, or got no answer: status is 0 then. */
export class Failure extends Error {
  constructor(
    readonly status: number,
    /** The node's sentence; '' when there is none. */
    readonly detail: string,
    /** What is wrong, as a path in the document: "offers[0].price"; '' when it is no single field. */
    readonly field = '',
    /** How long the node wants to be left alone; ms. */
    readonly pause = 0,
  ) {
    super(detail || `HTTP ${status}`);
  }
}

/** Reads an answer that is no success: problem+json (RFC 9457), or something in between had its say. */
export function failure(status: number, body: string, pause = 0): Failure {
  try {
    const problem: unknown = JSON.parse(body);
    if (typeof problem === 'object' && problem !== null) {
      const text = (key: string): string => {
        const value = (problem as Record<string, unknown>)[key];
        return typeof value === 'string' ? value : '';
      };
      return new Failure(status, text('detail') || text('title'), text('field'), pause);
    }
  } catch {
    // No JSON: a proxy's page, which is of no use to the reader.
  }
  return new Failure(status, '', '', pause);
}
