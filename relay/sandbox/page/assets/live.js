// Keeps elements with a data-live address fresh, without losing what the
// visitor is doing elsewhere on the page.
'use strict';

(() => {
  const everyMilliseconds = 1000;

  const refresh = async (element) => {
    try {
      const answer = await fetch(element.dataset.live, { headers: { Accept: 'text/html' }, cache: 'no-store' });
      if (answer.ok) {
        const text = await answer.text();
        if (text !== element.seenText && !element.contains(document.activeElement)) {
          element.seenText = text;
          const parsed = new DOMParser().parseFromString(text, 'text/html');
          element.replaceChildren(...parsed.body.childNodes);
        }
      }
    } catch {
      // The server is away: what is shown stays until it is back.
    }
    setTimeout(refresh, everyMilliseconds, element);
  };

  document.querySelectorAll('[data-live]').forEach((element) => refresh(element));
})();
