// The live part of the cashier page. WORDS stands in front of this file when
// it is served. The server's word is the only one believed about a payment:
// WeChat's sheet, the countdown and the network only decide when to ask.
(function () {
  'use strict';

  const { states, phrases } = WORDS[document.documentElement.lang];
  const byId = (id) => document.getElementById(id);

  prepareCopy();
  const block = byId('checkout');
  if (!block) return; // a login page, on which nothing more is alive
  const config = JSON.parse(block.textContent);

  const FINAL = ['paid', 'refunded', 'expired', 'closed', 'not_found', 'refused', 'unavailable'];
  const RETURN_SECONDS = 3;
  const POLL_FIRST = 2000;
  const POLL_SLOWEST = 10000;
  const REQUEST_LIMIT = 10000;
  const STREAM_SILENCE = 8000; // a stream that says nothing for so long is held up on its way
  const STREAM_AGAIN = 60000;
  const BRIDGE_LIMIT = 8000;
  const RETURN_PATIENCE = 3000; // the server asks WeChat when the page is loaded, so that is done soon

  let state = config.state;
  let returnAddress = config.return_url;

  // ---- What is shown -------------------------------------------------------

  function show(next) {
    if (next === state) return;
    state = next;
    const said = states[state];
    document.body.dataset.state = state;
    for (const part of document.querySelectorAll('[data-show]')) {
      part.toggleAttribute('hidden', !part.dataset.show.split(' ').includes(state));
    }
    byId('heading').textContent = said.title;
    byId('lead').textContent = said.lead;
    document.title = document.title.replace(/^.*(?= · )/, () => said.title);
    announce(said.title + ' ' + said.lead);
  }

  function announce(text) {
    byId('live').textContent = text;
  }

  function online(yes) {
    byId('offline').hidden = yes;
  }

  // ---- The way back to the shop --------------------------------------------

  function webAddress(text) {
    try {
      const address = new URL(text);
      return address.protocol === 'https:' || address.protocol === 'http:' ? address.href : '';
    } catch {
      return '';
    }
  }

  function offerReturn() {
    const address = webAddress(returnAddress);
    byId('return').hidden = !address;
    if (address) byId('return').href = address;
    return address;
  }

  // The cashier is replaced in the history: the shop's Back button must not
  // lead to a page that throws the buyer forward again.
  function returnSoon() {
    const address = offerReturn();
    if (!address) return;
    const pause = byId('pause');
    let left = RETURN_SECONDS;
    const tell = () => { pause.firstElementChild.textContent = phrases.returning.replace('{n}', left); };
    tell();
    pause.hidden = false;
    const timer = setInterval(() => {
      left -= 1;
      if (left > 0) return tell();
      clearInterval(timer);
      location.replace(address);
    }, 1000);
    const stop = () => {
      clearInterval(timer);
      pause.hidden = true;
    };
    byId('stay').addEventListener('click', () => {
      stop();
      byId('return').focus();
    }, { once: true });
    byId('return').addEventListener('click', (event) => {
      event.preventDefault();
      stop();
      location.replace(address);
    }, { once: true });
    addEventListener('pagehide', stop, { once: true });
  }

  function finish(next) {
    stopWatching();
    show(next);
    if (next === 'paid') returnSoon();
    else offerReturn();
  }

  // ---- What the server says ------------------------------------------------

  function hear(message) {
    if (FINAL.includes(state) || !message || typeof message.status !== 'string') return;
    online(true);
    if (typeof message.return_url === 'string') returnAddress = message.return_url;
    switch (message.status) {
      case 'paid':
      case 'partially_refunded':
        finish('paid');
        break;
      case 'refunding':
      case 'refunded':
        finish('refunded');
        break;
      case 'expired':
        finish('expired');
        break;
      case 'closed':
        finish(message.close_reason === 'expired' ? 'expired' : 'closed');
        break;
    }
  }

  let stream = null;
  let streamTimer = 0;
  let pollTimer = 0;
  let pollDelay = POLL_FIRST;
  let asking = null;

  function stopWatching() {
    if (stream) stream.close();
    stream = null;
    clearTimeout(streamTimer);
    stopPolling();
  }

  function stopPolling() {
    clearTimeout(pollTimer);
    pollTimer = 0;
  }

  function openStream() {
    clearTimeout(streamTimer);
    if (typeof EventSource !== 'function') return startPolling();
    if (stream) stream.close();
    stream = new EventSource(config.status_url);
    streamTimer = setTimeout(startPolling, STREAM_SILENCE);
    let failures = 0;
    stream.addEventListener('status', (event) => {
      failures = 0;
      clearTimeout(streamTimer);
      stopPolling();
      hear(parsed(event.data));
    });
    // The browser reconnects by itself after a break, but not after a refusal,
    // and it would try a dead line for ever.
    stream.onerror = () => {
      failures += 1;
      startPolling();
      if (stream && (stream.readyState === EventSource.CLOSED || failures > 2)) {
        stream.close();
        stream = null;
        clearTimeout(streamTimer);
        streamTimer = setTimeout(openStream, STREAM_AGAIN);
      }
    };
  }

  function parsed(text) {
    try {
      return JSON.parse(text);
    } catch {
      return null;
    }
  }

  function startPolling() {
    if (pollTimer || FINAL.includes(state)) return;
    pollDelay = POLL_FIRST;
    pollTimer = setTimeout(poll, 0);
  }

  async function poll() {
    const wait = await ask();
    if (!pollTimer || FINAL.includes(state)) return;
    pollTimer = setTimeout(poll, Math.max(wait, pollDelay));
    pollDelay = Math.min(pollDelay * 1.5, POLL_SLOWEST);
  }

  // ask looks once and says how many milliseconds the server wants to be left
  // alone. Two questions at a time would only make a slow line slower.
  function ask() {
    if (!config.status_url || FINAL.includes(state)) return Promise.resolve(0);
    if (!asking) asking = askOnce().finally(() => { asking = null; });
    return asking;
  }

  async function askOnce() {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), REQUEST_LIMIT);
    try {
      const answer = await fetch(config.status_url, {
        headers: { Accept: 'application/json' }, cache: 'no-store', redirect: 'error', signal: limit.signal,
      });
      if (answer.ok) {
        hear(await answer.json());
        return 0;
      }
      online(false);
      return Math.min(Number(answer.headers.get('Retry-After')) || 0, 60) * 1000;
    } catch {
      if (!FINAL.includes(state)) online(false);
      return 0;
    } finally {
      clearTimeout(timer);
    }
  }

  // A phone freezes pages that are not looked at, streams and timers with them.
  function lookAgain() {
    if (document.visibilityState !== 'visible' || FINAL.includes(state)) return;
    ask();
    if (!stream) openStream();
  }

  // ---- The time left -------------------------------------------------------

  function countDown() {
    const place = byId('time');
    if (!place || !config.remaining_ms) return;
    const begun = { steady: performance.now(), wall: Date.now() };
    let warned = false;
    byId('time-label').textContent = place.dataset.label;
    place.setAttribute('role', 'timer');
    const tick = () => {
      if (FINAL.includes(state)) return;
      // The steady clock stops while some phones sleep, the other may be set:
      // the later of the two errs towards asking the server too early.
      const gone = Math.max(performance.now() - begun.steady, Date.now() - begun.wall);
      const left = Math.max(config.remaining_ms - gone, 0);
      place.textContent = clock(Math.ceil(left / 1000));
      place.classList.toggle('late', left < 60000);
      if (left < 60000 && left > 0 && !warned) {
        warned = true;
        announce(phrases.last_call);
      }
      if (left > 0) {
        setTimeout(tick, left % 1000 || 1000);
        return;
      }
      if (state !== 'confirming') show('checking');
      if (config.status_url) {
        ask();
        startPolling();
      }
    };
    tick();
  }

  function clock(seconds) {
    const two = (n) => String(n).padStart(2, '0');
    const days = Math.floor(seconds / 86400);
    const hours = Math.floor(seconds / 3600) % 24;
    const rest = two(Math.floor(seconds / 60) % 60) + ':' + two(seconds % 60);
    if (days) return phrases.day.replace('{n}', days) + ' ' + two(hours) + ':' + rest;
    return hours ? hours + ':' + rest : rest;
  }

  // ---- Paying inside WeChat ------------------------------------------------

  function preparePayment() {
    const button = byId('pay');
    if (!button || !config.jsapi) return;
    let missing = 0;
    const ready = () => {
      clearTimeout(missing);
      button.disabled = false;
      if (FINAL.includes(state)) return;
      // A sheet that was cancelled does not open again by itself.
      if (state === 'wrong_place') show('waiting_jsapi');
      if (state === 'waiting_jsapi') invoke(button);
    };
    button.addEventListener('click', () => invoke(button));
    if (typeof WeixinJSBridge === 'object') return ready();
    document.addEventListener('WeixinJSBridgeReady', ready, { once: true });
    missing = setTimeout(() => {
      if (state === 'waiting_jsapi' || state === 'cancelled') show('wrong_place');
    }, BRIDGE_LIMIT);
  }

  function invoke(button) {
    if (button.disabled) return;
    button.disabled = true;
    try {
      WeixinJSBridge.invoke('getBrandWCPayRequest', config.jsapi, (result) => {
        button.disabled = false;
        afterSheet(String((result && result.err_msg) || ''), button);
      });
    } catch {
      button.disabled = false;
      afterSheet('', button);
    }
  }

  function afterSheet(outcome, button) {
    if (FINAL.includes(state) || state === 'checking') return;
    if (outcome === 'get_brand_wcpay_request:ok') {
      show('confirming');
    } else {
      button.textContent = phrases.pay_again;
      show(outcome === 'get_brand_wcpay_request:cancel' ? 'cancelled' : 'failed');
    }
    ask();
  }

  // ---- Paying in WeChat from a phone's browser -----------------------------

  // WeChat leads back to this address, or the buyer switches back to this very
  // page: then it loads itself again, because only a page that is loaded makes
  // the server ask WeChat. It does the same when WeChat's link has run out.
  function prepareLink() {
    const link = byId('wechat');
    if (!link) return;
    const begun = Date.now();
    let followed = false;
    let again = 0;
    const stale = () => config.fresh_ms && Date.now() - begun >= config.fresh_ms;
    const reload = () => { if (!FINAL.includes(state)) location.reload(); };
    const look = () => {
      if (document.visibilityState !== 'visible' || FINAL.includes(state)) return;
      if (stale()) return reload();
      if (!followed) return;
      followed = false;
      show('returned');
      clearTimeout(again);
      again = setTimeout(reload, RETURN_PATIENCE);
    };
    link.addEventListener('click', () => {
      clearTimeout(again);
      followed = true;
    });
    document.addEventListener('visibilitychange', look);
    addEventListener('pageshow', look);
    if (config.fresh_ms) setTimeout(look, config.fresh_ms);
  }

  // ---- Copying the page's address ------------------------------------------

  function prepareCopy() {
    const button = byId('copy');
    const field = byId('address');
    if (!button || !field) return;
    field.addEventListener('focus', () => field.select());
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(field.value);
        button.textContent = phrases.copied;
        announce(phrases.copied);
      } catch {
        field.select();
      }
    });
  }

  // ---- Begin ---------------------------------------------------------------

  if (state === 'paid') returnSoon();
  if (FINAL.includes(state)) return;
  countDown();
  preparePayment();
  prepareLink();
  if (!config.status_url) return;
  openStream();
  document.addEventListener('visibilitychange', lookAgain);
  addEventListener('pageshow', (event) => { if (event.persisted) lookAgain(); });
  addEventListener('online', lookAgain);
  addEventListener('pagehide', stopWatching);
})();
