/** Puts a text on the clipboard; false when the browser does not let it. Holder is where a selection may be made for it. */
export async function copy(text: string, holder: Node): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages without https have no clipboard of that kind: select the code and copy it as the viewer would.
    const selection = getSelection();
    if (!selection) return false;
    selection.selectAllChildren(holder);
    const done = document.execCommand('copy');
    selection.removeAllRanges();
    return done;
  }
}
