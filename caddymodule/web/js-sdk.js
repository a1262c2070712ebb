/* wxrelay: lets a page call WeChat's JS-SDK. After jweixin:
   <script src="https://RELAY/v1/js-sdk.js" data-apis="scanQRCode"></script>
   and listen on document for wxrelay:ready and wxrelay:error. After a change
   of route: wxrelay.config(["scanQRCode"]). */
(function (window, document) {
  'use strict';
  var PATH = '/v1/js-sdk';
  // iOS compares with the address that loaded the document, whatever
  // history.pushState made of it; others with the current one.
  var landing = here();
  var ios = /iphone|ipad|ipod/i.test(window.navigator.userAgent);
  var all = document.getElementsByTagName('script');
  var tag = document.currentScript || all[all.length - 1];
  var base = tag.src.slice(0, tag.src.lastIndexOf(PATH));
  var runs = 0;

  function here() { return window.location.href.split('#')[0]; }

  function list(name) { return (tag.getAttribute(name) || '').split(/[\s,]+/).filter(Boolean); }

  function emit(name, detail) {
    var e = document.createEvent('CustomEvent');
    e.initCustomEvent('wxrelay:' + name, true, false, detail);
    document.dispatchEvent(e);
  }

  function ask(url, done, fail) {
    var x = new XMLHttpRequest();
    var client = tag.getAttribute('data-client');
    x.open('GET', base + PATH + '?url=' + encodeURIComponent(url) + (client ? '&client_id=' + client : ''));
    x.timeout = 10000;
    x.onload = function () {
      var a = {};
      try { a = JSON.parse(x.responseText); } catch (e) { /* not the relay */ }
      if (x.status === 200 && a.url === url) done(a);
      else fail(a.code || 'HTTP_' + x.status, a.message);
    };
    x.onerror = x.ontimeout = function () { fail('NETWORK'); };
    x.send();
  }

  function config(apis) {
    var wx = window.wx;
    var run = ++runs;
    var now = here();
    var urls = landing === now ? [now] : ios ? [landing, now] : [now, landing];
    next();

    function next() {
      var url = urls.shift();
      var over = false;
      function end(code, message) {
        if (over || run !== runs) return;
        over = true;
        if (/invalid signature/i.test(message) && urls.length) next();
        else emit(code ? 'error' : 'ready', { url: url, code: code, message: message });
      }
      if (!wx) return end('NO_WX', 'include jweixin');
      ask(url, function (a) {
        wx.config({
          debug: tag.hasAttribute('data-debug'),
          appId: a.appId,
          timestamp: a.timestamp,
          nonceStr: a.nonceStr,
          signature: a.signature,
          jsApiList: apis,
          openTagList: list('data-open-tags')
        });
        // jweixin calls ready after a refusal too, but error first.
        wx.error(function (e) { end('WX_CONFIG', e && e.errMsg); });
        wx.ready(function () { end(); });
      }, end);
    }
  }

  function start(apis) { config(apis || list('data-apis')); }

  window.wxrelay = { config: start };
  if (tag.hasAttribute('data-apis')) {
    if (window.wx) start();
    else window.addEventListener('load', function () { start(); });
  }
})(window, document);
