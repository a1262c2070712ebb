package oauth

import "testing"

func TestExchangeMiniProgram(t *testing.T) {
	t.Parallel()
	c, s := scripted(t, answer(200, `{"openid":"O","session_key":"K","unionid":"U"}`))
	got, err := c.ExchangeMiniProgram(t.Context(), "CODE")
	if err != nil || *got != (Identity{OpenID: "O", UnionID: "U"}) {
		t.Errorf("ExchangeMiniProgram = %+v, %v", got, err)
	}
	q := s.seen[0].URL.Query()
	if s.seen[0].URL.Path != "/sns/jscode2session" || q.Get("appid") != "appid" || q.Get("secret") != "secret-marker" ||
		q.Get("js_code") != "CODE" || q.Get("grant_type") != "authorization_code" || len(q) != 4 {
		t.Errorf("asked %s", s.seen[0].URL)
	}
	for _, body := range []string{`{}`, `{"errcode":40029,"errmsg":"x"}`, `{"openid":""}`, `{"openid":"O","openid":"P"}`} {
		c, _ := scripted(t, answer(200, body))
		if got, err := c.ExchangeMiniProgram(t.Context(), "CODE"); err == nil || got != nil {
			t.Errorf("%s gives %+v", body, got)
		}
	}
}
