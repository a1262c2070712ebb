// Asks how far the phone is with the code on this screen, and goes back to
// the site once it has decided.
'use strict';

(() => {
  const everyMilliseconds = 1000;
  const card = document.querySelector('[data-wait]');

  const show = (state) => {
    card.querySelectorAll('[data-state]').forEach((line) => { line.hidden = line.dataset.state !== state; });
  };

  const ask = async () => {
    try {
      const answer = await fetch(card.dataset.wait, { cache: 'no-store' });
      const { state } = await answer.json();
      if (state === 'allowed' || state === 'refused') {
        location.replace(`${card.dataset.wait}/go`);
        return;
      }
      show(state);
      if (state === 'expired') return;
    } catch {
      // The server is away: ask on until it is back.
    }
    setTimeout(ask, everyMilliseconds);
  };

  ask();
})();
