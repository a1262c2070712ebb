package oauth

import "testing"

func TestUserInfo(t *testing.T) {
	t.Parallel()
	token := &Token{AccessToken: "A", OpenID: "O"}
	c, s := scripted(t, answer(200, `{"openid":"O","nickname":"张三","sex":0,"province":"","headimgurl":"https://thirdwx.example/x/132","privilege":[],"unionid":"U"}`))
	got, err := c.UserInfo(t.Context(), token)
	if err != nil || *got != (UserInfo{OpenID: "O", UnionID: "U", Nickname: "张三", AvatarURL: "https://thirdwx.example/x/132"}) {
		t.Errorf("UserInfo = %+v, %v", got, err)
	}
	q := s.seen[0].URL.Query()
	if s.seen[0].URL.Path != "/sns/userinfo" || q.Get("access_token") != "A" || q.Get("openid") != "O" || q.Get("lang") != "zh_CN" || len(q) != 3 {
		t.Errorf("asked %s", s.seen[0].URL)
	}
	for _, body := range []string{`{}`, `{"openid":"P","nickname":"other"}`, `{"errcode":48001,"errmsg":"api unauthorized"}`} {
		c, _ := scripted(t, answer(200, body))
		if got, err := c.UserInfo(t.Context(), token); err == nil || got != nil {
			t.Errorf("%s gives %+v", body, got)
		}
	}
}
