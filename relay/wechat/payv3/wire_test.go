package payv3

import (
	"strings"
	"testing"
	"time"
)

func TestTransactionSucceededAt(t *testing.T) {
	t.Parallel()
	want := time.Date(2018, 6, 8, 2, 34, 56, 0, time.UTC)
	for _, s := range []string{"2018-06-08T10:34:56+08:00", "2018-06-08T02:34:56Z", "2018-06-08T10:34:56.000+08:00"} {
		got, err := (&Transaction{SuccessTime: s}).SucceededAt()
		if err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "20180608103456", "2018-06-08 10:34:56", "2018-06-08T10:34:56", "marker"} {
		got, err := (&Transaction{SuccessTime: s}).SucceededAt()
		if err == nil || !got.IsZero() || strings.Contains(err.Error(), "marker") {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
}
