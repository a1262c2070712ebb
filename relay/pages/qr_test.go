package pages

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"rsc.io/qr"
)

var qrRun = regexp.MustCompile(`^M(\d+) (\d+)h(\d+)v1h-(\d+)z`)

// modules reads the dark modules back from the drawing, without its quiet
// zone, and fails on anything that is not a run of modules.
func modules(t *testing.T, svg []byte) (size int, dark map[[2]int]bool) {
	t.Helper()
	var doc struct {
		ViewBox string `xml:"viewBox,attr"`
		Paths   []struct {
			Fill string `xml:"fill,attr"`
			D    string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal(svg, &doc); err != nil {
		t.Fatalf("not well-formed: %v", err)
	}
	if _, err := fmt.Sscanf(doc.ViewBox, "0 0 %d", &size); err != nil {
		t.Fatalf("view box %q: %v", doc.ViewBox, err)
	}
	if len(doc.Paths) != 2 || doc.Paths[0].Fill != "#fff" || doc.Paths[1].Fill != "#000" {
		t.Fatalf("want a white ground and one black path, got %+v", doc.Paths)
	}
	dark = make(map[[2]int]bool)
	for rest := doc.Paths[1].D; rest != ""; {
		m := qrRun.FindStringSubmatch(rest)
		if m == nil || m[3] != m[4] {
			t.Fatalf("not a run of modules: %.40q", rest)
		}
		x, _ := strconv.Atoi(m[1])
		y, _ := strconv.Atoi(m[2])
		n, _ := strconv.Atoi(m[3])
		for i := range n {
			at := [2]int{x + i - quietZone, y - quietZone}
			if dark[at] {
				t.Errorf("module %v drawn twice", at)
			}
			dark[at] = true
		}
		rest = rest[len(m[0]):]
	}
	return size - 2*quietZone, dark
}

func TestQRSVGDrawsEveryModule(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"weixin://wxpay/bizpayurl?pr=p4lpSuKzz",
		"https://pay.example.com/checkout/0123456789abcdefghijkl?client_id=1000000000000001",
		"1", "微信支付", strings.Repeat("x", MaxQRText),
	} {
		svg, err := QRSVG(text)
		if err != nil {
			t.Errorf("QRSVG of %d bytes: %v", len(text), err)
			continue
		}
		want, err := qr.Encode(text, qr.M)
		if err != nil {
			t.Fatal(err)
		}
		size, dark := modules(t, svg)
		if size != want.Size {
			t.Errorf("%d bytes: %d modules, want %d", len(text), size, want.Size)
		}
		for y := -quietZone; y < size+quietZone; y++ {
			for x := -quietZone; x < size+quietZone; x++ {
				if dark[[2]int{x, y}] != want.Black(x, y) {
					t.Fatalf("%d bytes: module %d,%d is dark=%v, want %v", len(text), x, y, dark[[2]int{x, y}], want.Black(x, y))
				}
			}
		}
	}
}

func TestQRSVGIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	a, errA := QRSVG("weixin://wxpay/bizpayurl?pr=1")
	b, errB := QRSVG("weixin://wxpay/bizpayurl?pr=1")
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("two drawings of one text differ (%v, %v)", errA, errB)
	}
}

// The text is hostile: none of it may reach the page as markup (I01).
func TestQRSVGHoldsNothingOfItsText_I01(t *testing.T) {
	t.Parallel()
	svg, err := QRSVG(`"/><script>alert(1)</script>`)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(svg, []byte("script")) || bytes.Contains(svg, []byte("alert")) {
		t.Errorf("the drawing holds its text: %.200s", svg)
	}
}

func TestQRSVGRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "too long": strings.Repeat("x", MaxQRText+1), "far too long": strings.Repeat("微", 4096),
	} {
		svg, err := QRSVG(text)
		if !errors.Is(err, ErrQRText) || svg != nil {
			t.Errorf("%s: got %d bytes and %v, want ErrQRText", name, len(svg), err)
		}
	}
}

func FuzzQRSVG(f *testing.F) {
	f.Add("weixin://wxpay/bizpayurl?pr=p4lpSuKzz")
	f.Add("0123456789")
	f.Add("\x00\xff")
	f.Fuzz(func(t *testing.T, text string) {
		svg, err := QRSVG(text)
		if (err == nil) != (len(text) >= 1 && len(text) <= MaxQRText) {
			t.Fatalf("%d bytes: %v", len(text), err)
		}
		if err == nil {
			modules(t, svg)
		}
	})
}
