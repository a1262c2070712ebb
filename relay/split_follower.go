package relay

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	splitTick  = 5 * time.Second  // how often due splits are looked for
	splitBatch = 200              // splits followed per tick at most
	splitAtAll = 4                // splits followed at the same time
	splitCall  = 45 * time.Second // bound on following one split
)

// splitFollower brings splits and returns to their end.
type splitFollower struct {
	*rounds
	rt *Runtime
}

func newSplitFollower(rt *Runtime) *splitFollower {
	f := &splitFollower{rt: rt}
	f.rounds = newRounds(splitTick, f.round)
	return f
}

// round follows what is due by the configuration that is current.
func (f *splitFollower) round(ctx context.Context) {
	s := f.rt.current.Load()
	if s == nil {
		return
	}
	var due []Task
	err := f.rt.store.View(ctx, func(r Reader) (err error) {
		due, err = r.Tasks(TaskFollowSplit, f.rt.now(), splitBatch)
		return err
	})
	if err != nil {
		s.log.Warn("looking for splits to follow failed", slog.Any("error", err))
		return
	}
	var silent sync.Map // merchant numbers for which WeChat did not answer in this round
	slots := make(chan struct{}, splitAtAll)
	var wg sync.WaitGroup
	for _, task := range due {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if _, put := silent.Load(task.MchID); !put && ctx.Err() == nil {
				f.follow(ctx, s, SplitKey{MchID: task.MchID, OutOrderNo: task.Number}, &silent)
			}
		})
	}
	wg.Wait()
}

// follow follows one split. When WeChat does not answer for a merchant, its
// other splits wait for the next round, so that they do not keep those of
// other merchants waiting for their time-outs.
func (f *splitFollower) follow(ctx context.Context, s *Service, key SplitKey, silent *sync.Map) {
	ctx, cancel := context.WithTimeout(ctx, splitCall)
	defer cancel()
	err := s.followSplit(ctx, key)
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	if _, answered := errors.AsType[*GatewayError](err); !answered {
		silent.Store(key.MchID, true)
	}
	s.log.Warn("following a split failed", slog.String("out_order_no", key.OutOrderNo), slog.Any("error", err))
}
