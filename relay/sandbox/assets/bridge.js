// SANDBOX - not WeChat. Gives a page in a normal browser the part of
// WeixinJSBridge that pays. The payment window is the sandbox's own page.
'use strict';

(() => {
  const origin = 'SANDBOX_ORIGIN';

  const pay = (parameters, callback) => {
    const address = `${origin}/sandbox/jsapi?${new URLSearchParams(parameters)}`;
    const phone = window.open(address, 'sandbox-phone', 'width=420,height=760');
    if (!phone) {
      // Browsers block windows that nobody clicked for: the page offers to try
      // again, and then somebody has.
      callback({ err_msg: 'get_brand_wcpay_request:fail' });
      return;
    }
    const hear = (event) => {
      if (event.origin !== origin || !event.data || !event.data.sandboxPayment) return;
      window.removeEventListener('message', hear);
      callback({ err_msg: event.data.sandboxPayment });
    };
    window.addEventListener('message', hear);
  };

  window.WeixinJSBridge = {
    invoke(name, parameters, callback) {
      if (name === 'getBrandWCPayRequest') pay(parameters, callback || (() => {}));
      else if (callback) callback({ err_msg: `${name}:fail_sandbox_does_not_play_this` });
    },
    call() {},
    on() {},
  };
  document.dispatchEvent(new Event('WeixinJSBridgeReady'));
})();
