/**
 * Who works by keyboard or by ear loses the place when the button just pressed goes away, or cannot be pressed again for a while:
 * the browser then puts the focus nowhere.
 * Here it goes to what the button stood in, never to another button: Enter pressed twice must not answer a question nobody heard.
 */
export function keepFocus(): void {
  let path: HTMLElement[] = [];
  const lost = () => {
    const [last] = path;
    const { activeElement, body } = document;
    if (last === undefined || (activeElement !== body && activeElement !== last)) return false;
    return !last.isConnected || last.matches(":disabled");
  };
  addEventListener("focusin", ({ target }) => {
    path = [];
    for (let at = target as HTMLElement | null; at; at = at.parentElement) path.push(at);
  });
  // A click beside everything is no loss, nor is what moves within the page.
  new MutationObserver(() => {
    if (!lost()) return;
    const place = path.find((each) => each.isConnected && each.checkVisibility() && !each.matches(":disabled"));
    if (place === undefined || place === document.body) return;
    if (!place.hasAttribute("tabindex")) place.tabIndex = -1;
    place.focus({ preventScroll: true });
  }).observe(document.body, { childList: true, subtree: true, attributeFilter: ["disabled"] });
}
