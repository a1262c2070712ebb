package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// pageSignature is what a page hands to wx.config.
type pageSignature struct {
	AppID     string `json:"appId"` //nolint:tagliatelle // WeChat's name
	Timestamp int64  `json:"timestamp"`
	NonceStr  string `json:"nonceStr"` //nolint:tagliatelle // WeChat's name
	Signature string `json:"signature"`
	URL       string `json:"url"`
}

// wxConfig is WeChat's verdict on a page that shows an address.
func (s *server) wxConfig(t *testing.T, p *pageSignature, shown string) string {
	t.Helper()
	a := get(t, s.http, s.platform+"/sandbox/js-sdk/check?"+url.Values{
		"appId": {p.AppID}, "timestamp": {strconv.FormatInt(p.Timestamp, 10)}, "nonceStr": {p.NonceStr}, "signature": {p.Signature}, "url": {shown},
	}.Encode(), wechatAgent)
	var verdict struct {
		ErrMsg string `json:"errMsg"` //nolint:tagliatelle // WeChat's name
	}
	if err := json.Unmarshal(a.body, &verdict); err != nil {
		t.Fatalf("check = %s, %v", a, err)
	}
	return verdict.ErrMsg
}

// TestJSSDK: pages of the client's origins are signed for its server and for
// themselves, no others, and WeChat accepts what they get; the page's address
// is in no access log.
func TestJSSDK(t *testing.T) {
	t.Parallel()
	const origin = "https://books.example.com"
	const page = origin + "/cart?id=1&code=MARKED&t=%E4%B9%A6"
	access := filepath.Join(t.TempDir(), "access.log")
	s := start(t, setup{bookshop: "allow_origin " + origin, site: "log {\n\t\toutput file " + access + "\n\t}"})
	ask := "/v1/js-sdk?url=" + url.QueryEscape(page)
	var signed, own pageSignature
	s.shop.call(t, "GET", ask, "", http.StatusOK, &signed)
	a := get(t, s.http, s.url+ask+url.QueryEscape("#/route"), wechatAgent, "Origin", origin)
	if err := json.Unmarshal(a.body, &own); err != nil || a.status != http.StatusOK || a.header.Get("Access-Control-Allow-Origin") != origin {
		t.Fatalf("page's own = %s %v, %v", a, a.header, err)
	}
	for name, p := range map[string]*pageSignature{"server": &signed, "page": &own} {
		if p.URL != page {
			t.Errorf("%s: signed %s, want %s", name, p.URL, page)
		}
		if got := s.wxConfig(t, p, page); got != "config:ok" {
			t.Errorf("%s: WeChat says %s", name, got)
		}
		if got := s.wxConfig(t, p, page+"&more=1"); got != "config:invalid signature" {
			t.Errorf("%s: WeChat says %s of another page", name, got)
		}
	}
	for name, tt := range map[string]struct {
		page, origin string
		status       int
	}{
		"another site asks": {page, "https://evil.example", http.StatusForbidden},
		"nobody asks":       {page, "", http.StatusUnauthorized},
		"prefix (D01)":      {origin + ".evil.example/", origin, http.StatusForbidden},
		"user info (D02)":   {origin + "@evil.example/", origin, http.StatusBadRequest},
		"backslash (D03)":   {`https://evil.example\@books.example.com/`, origin, http.StatusBadRequest},
		"look-alike (D04)":  {"https://bооks.example.com/", origin, http.StatusBadRequest},
	} {
		var header []string
		if tt.origin != "" {
			header = []string{"Origin", tt.origin}
		}
		if a := get(t, s.http, s.url+"/v1/js-sdk?url="+url.QueryEscape(tt.page), wechatAgent, header...); a.status != tt.status {
			t.Errorf("%s: %s, want %d", name, a, tt.status)
		}
	}
	if a := get(t, s.http, s.url+"/v1/js-sdk.js", wechatAgent); a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "text/javascript") || !strings.Contains(string(a.body), "wx.config") {
		t.Errorf("script = %d %v", a.status, a.header)
	}
	s.stop()
	log, err := os.ReadFile(access)
	if err != nil || !strings.Contains(string(log), "/v1/js-sdk.js") || strings.Contains(string(log)+s.log.String(), "MARKED") {
		t.Errorf("access log %s, %v", log, err)
	}
}
