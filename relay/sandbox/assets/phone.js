// Reads a payment code from a photo, where the browser can, and tells the
// page that opened a payment window what came of it.
'use strict';

(() => {
  const picture = document.querySelector('#picture');
  if (picture && 'BarcodeDetector' in window) {
    picture.closest('label').hidden = false;
    picture.addEventListener('change', async () => {
      const image = await createImageBitmap(picture.files[0]);
      const [found] = await new BarcodeDetector({ formats: ['qr_code'] }).detect(image);
      if (found) document.querySelector('#code_url').value = found.rawValue;
    });
  }

  const result = document.querySelector('[data-result]');
  if (result) {
    // Nothing secret is told, so any page may hear it.
    if (window.opener) window.opener.postMessage({ sandboxPayment: result.dataset.result }, '*');
    document.querySelector('#back').addEventListener('click', () => {
      if (window.opener) window.close();
      else history.go(-2);
    });
  }
})();
