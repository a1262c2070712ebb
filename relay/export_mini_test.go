package relay

import (
	"context"

	"github.com/wxrelay/wxrelay/relay/wechat/miniprogram"
)

// MiniLogin plays WeChat to the mini-programs.
type MiniLogin func(ctx context.Context, code string) (*miniprogram.Session, error)

// Session exchanges a code.
func (f MiniLogin) Session(ctx context.Context, code string) (*miniprogram.Session, error) {
	return f(ctx, code)
}

// PlayMini puts the test in WeChat's place for all mini-programs.
func (s *Service) PlayMini(login MiniLogin) {
	for name := range s.minis {
		s.minis[name] = login
	}
}

// MiniSessionLife is how long a session is kept.
const MiniSessionLife = miniSessionLife
