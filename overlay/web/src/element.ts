/** The element with an id, which the page is known to have. */
export function element<E extends HTMLElement>(id: string, kind: new () => E): E {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`page: no ${kind.name} with the id ${id}`);
  return found;
}
