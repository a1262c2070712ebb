package browser

import (
	"bytes"
	"fmt"
	"image"
	_ "image/png"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/wxrelay/wxrelay/relay/pages"
)

const codeURL = "weixin://wxpay/bizpayurl?pr=p4lpSuKzz"

const pageURL = "https://pay.example.com/checkout/0123456789abcdefghijkl"

var invocation = &pages.JSAPI{
	AppID: "wx8888888888888888", TimeStamp: "1795296000", NonceStr: "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
	Package: "prepay_id=wx221605000000000000000000000000000", SignType: "RSA", PaySign: "c2lnbmF0dXJl",
}

// looks are the pages whose looks are checked, and kept for human eyes.
func looks() map[string]pages.Checkout {
	const long = "A subscription of the illustrated monthly for natural history and antiquarian books, twelve issues, with a very long name <b>&amp;</b> " +
		"Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
	const request = "req_2KWPBgLlAfxdpx2AI54pPJ85f4W"
	return map[string]pages.Checkout{
		"native":      {State: pages.StateWaitingNative, QRText: codeURL},
		"native-test": {State: pages.StateWaitingNative, QRText: codeURL, Test: true, SandboxURL: "https://sandbox.example/sandbox"},
		"native-long": {
			State: pages.StateWaitingNative, QRText: codeURL, Description: long, Shop: long, AmountFen: 1_000_000_000,
			OrderNo: "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-0123", RequestID: request,
		},
		"jsapi":       {State: pages.StateWaitingJSAPI, JSAPI: invocation},
		"h5":          {State: pages.StateWaitingH5, H5URL: "https://wx.tenpay.example/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx1&package=2"},
		"returned":    {State: pages.StateReturned, H5URL: "https://wx.tenpay.example/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx1&package=2"},
		"cancelled":   {State: pages.StateCancelled, JSAPI: invocation},
		"paid":        {State: pages.StatePaid},
		"expired":     {State: pages.StateExpired},
		"wechat-only": {State: pages.StateWrongPlace, QRText: pageURL, PageURL: pageURL},
		"other":       {State: pages.StateWrongPlace, Needs: pages.NeedsOtherScreen, PageURL: pageURL},
		"browser":     {State: pages.StateWrongPlace, Needs: pages.NeedsBrowser, QRText: pageURL, PageURL: pageURL},
		"app":         {State: pages.StateWrongPlace, Needs: pages.NeedsApp},
		"unavailable": {State: pages.StateUnavailable, RequestID: request},
		"not-found":   {State: pages.StateNotFound, RequestID: request, Test: true},
	}
}

// relaysOf serves each of the looks. To be called before a tab is opened, so
// that the tab is closed first.
func relaysOf(t *testing.T) map[string]*relayStandIn {
	t.Helper()
	relays := make(map[string]*relayStandIn)
	for name, view := range looks() {
		relays[name] = newRelay(t, view)
	}
	return relays
}

// screens are what people look at pages with.
func screens() map[string]device {
	return map[string]device{
		"narrow":       {width: 320, height: 568, mobile: true, still: true, language: "en"},
		"phone":        {width: 360, height: 740, mobile: true, still: true, language: "zh-CN"},
		"desktop-en":   {width: 1280, height: 800, still: true, language: "en"},
		"desktop-dark": {width: 1280, height: 800, still: true, dark: true, language: "zh-CN"},
	}
}

// weakTexts lists the texts of a page whose contrast is below WCAG 2.2 level
// AA. Controls that are off and texts on a pattern are left out.
const weakTexts = `(() => {
	const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
	const rgb = (colour) => {
		canvas.clearRect(0, 0, 1, 1);
		canvas.fillStyle = colour;
		canvas.fillRect(0, 0, 1, 1);
		return canvas.getImageData(0, 0, 1, 1).data;
	};
	const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => {
		const v = c[i] / 255;
		return sum + w * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
	}, 0);
	const ground = (e) => {
		for (; e; e = e.parentElement) {
			const style = getComputedStyle(e);
			if (style.backgroundImage !== 'none') return null;
			const c = rgb(style.backgroundColor);
			if (c[3] === 255) return c;
		}
		return rgb('Canvas');
	};
	const weak = [];
	for (const e of document.body.querySelectorAll('*')) {
		const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
		if (!own || !e.checkVisibility() || e.disabled || e.closest('script, svg')) continue;
		const back = ground(e);
		if (!back) continue;
		const a = light(rgb(getComputedStyle(e).color)) + 0.05, b = light(back) + 0.05;
		const ratio = Math.max(a, b) / Math.min(a, b);
		const large = parseFloat(getComputedStyle(e).fontSize) >= 24;
		if (ratio < (large ? 3 : 4.5)) weak.push(e.textContent.trim().slice(0, 30) + ' ' + ratio.toFixed(2));
	}
	return weak.join('; ');
})()`

func TestPagesFitEveryScreen(t *testing.T) {
	t.Parallel()
	for on, d := range screens() {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			relays := relaysOf(t)
			tb := openTab(t, d)
			// The way back to the shop waits, so that it can be looked at.
			tb.beforeLoad(handTimers)
			for name, rl := range relays {
				tb.open(rl.page())
				tb.until(`document.readyState === 'complete'`)
				tb.checkFit(name, d.width)
				tb.keep(name + "-" + on)
			}
		})
	}
}

// checkFit checks that the page shown can be read and used on a screen of a
// width.
func (tb *tab) checkFit(name string, width int64) {
	tb.t.Helper()
	if got := tb.number(`document.documentElement.scrollWidth`); got > float64(width) {
		tb.t.Errorf("%s is %v wide on a screen of %d", name, got, width)
	}
	if weak := tb.text(weakTexts); weak != "" {
		tb.t.Errorf("%s is hard to read: %s", name, weak)
	}
	small := `[...document.querySelectorAll('a.main, button')].filter((b) => b.checkVisibility() && b.getBoundingClientRect().height < 44).length`
	if got := tb.number(small); got != 0 {
		tb.t.Errorf("%s has %v controls that are too small for a finger", name, got)
	}
}

// look checks the page shown on a wide and a narrow screen, by day and by
// night, keeps pictures of it, and gives the tab its own screen back.
func (tb *tab) look(name string) {
	tb.t.Helper()
	for _, d := range []device{{width: 1280, height: 900, still: true}, {width: 375, height: 812, mobile: true, still: true}} {
		for _, dark := range []bool{true, false} {
			d.dark = dark
			tb.run(emulation.SetDeviceMetricsOverride(d.width, d.height, 2, d.mobile), emulation.SetEmulatedMedia().WithFeatures(d.media()))
			tb.checkFit(name, d.width)
		}
		tb.keep(fmt.Sprintf("demo-%s-%d", name, d.width))
	}
	tb.run(emulation.SetDeviceMetricsOverride(tb.device.width, tb.device.height, 2, tb.device.mobile),
		emulation.SetEmulatedMedia().WithFeatures(tb.device.media()))
}

// The code is read back from a picture of the page, as a phone would (I11).
func TestCodeCanBeScanned_I11(t *testing.T) {
	t.Parallel()
	for on, d := range screens() {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			relays := relaysOf(t)
			tb := openTab(t, d)
			for name, want := range map[string]string{"native": codeURL, "wechat-only": pageURL} {
				tb.open(relays[name].page())
				tb.until(`document.readyState === 'complete'`)
				tb.truth(`(document.querySelector('.qr').scrollIntoView({ block: 'center' }), true)`)
				if got := scan(t, tb.shoot()); got != want {
					t.Errorf("the code of %s says %q, want %q", name, got, want)
				}
			}
		})
	}
}

func scan(t *testing.T, png []byte) string {
	t.Helper()
	picture, _, err := image.Decode(bytes.NewReader(png))
	if err != nil {
		t.Fatalf("reading the screenshot: %v", err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatalf("preparing the screenshot: %v", err)
	}
	found, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	if err != nil {
		t.Fatalf("no code can be read: %v", err)
	}
	return found.GetText()
}
