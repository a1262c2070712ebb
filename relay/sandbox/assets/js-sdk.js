// SANDBOX - not WeChat. Stands in for jweixin.js in a normal browser: wx.config
// has its signature checked by the sandbox as the WeChat client would.
'use strict';

(() => {
  const origin = 'SANDBOX_ORIGIN';
  const withoutFragment = () => location.href.split('#')[0];
  // WeChat on iOS signs the address at which the page was entered, whatever
  // the page has made of it since (oauth.md 6).
  const landing = withoutFragment();
  const onIOS = /iPhone|iPad|iPod/.test(navigator.userAgent);

  let state = 'new'; // then asking, ok or fail
  let allowed = [];
  let failure = null;
  const whenReady = [];
  const whenFailed = [];

  const settle = (message) => {
    state = message === 'config:ok' ? 'ok' : 'fail';
    if (state === 'fail') {
      failure = { errMsg: message };
      whenFailed.forEach((call) => call(failure));
    }
    // As WeChat's own script does, after a refusal too.
    whenReady.splice(0).forEach((call) => call());
  };

  const invoke = (name, answer, options = {}) => {
    const permitted = state === 'ok' && allowed.includes(name);
    const result = permitted ? { ...answer, errMsg: `${name}:ok` } : { errMsg: `${name}:permission denied` };
    const call = permitted ? options.success : options.fail;
    if (call) call(result);
    if (options.complete) options.complete(result);
  };

  window.wx = {
    config(options) {
      state = 'asking';
      allowed = options.jsApiList || [];
      const { appId, timestamp, nonceStr, signature } = options;
      const query = new URLSearchParams({ appId, timestamp, nonceStr, signature, url: onIOS ? landing : withoutFragment() });
      fetch(`${origin}/sandbox/js-sdk/check?${query}`, { cache: 'no-store', credentials: 'omit' })
        .then((answer) => answer.json())
        .then(({ errMsg }) => settle(errMsg))
        .catch(() => settle('config:fail'));
    },
    ready(call) { if (state === 'ok') call(); else whenReady.push(call); },
    error(call) { whenFailed.push(call); if (state === 'fail') call(failure); },
    checkJsApi(options) {
      const checkResult = Object.fromEntries((options.jsApiList || []).map((name) => [name, name in window.wx]));
      if (options.success) options.success({ checkResult, errMsg: 'checkJsApi:ok' });
    },
    getNetworkType(options) { invoke('getNetworkType', { networkType: 'wifi' }, options); },
    updateAppMessageShareData(options) { invoke('updateAppMessageShareData', {}, options); },
    updateTimelineShareData(options) { invoke('updateTimelineShareData', {}, options); },
  };
  window.jWeixin = window.wx;
})();
