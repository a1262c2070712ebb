package pages

import (
	"math"
	"testing"
)

func TestFenDecimalAndGrouped(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fen     int64
		want    string
		decimal string
	}{
		{0, "0.00", "0.00"},
		{1, "0.01", "0.01"},
		{10, "0.10", "0.10"},
		{99, "0.99", "0.99"},
		{100, "1.00", "1.00"},
		{12880, "128.80", "128.80"},
		{99999, "999.99", "999.99"},
		{100000, "1,000.00", "1000.00"},
		{123456789, "1,234,567.89", "1234567.89"},
		{1_000_000_000, "10,000,000.00", "10000000.00"},
		// 0.29 * 100 is 28.999… in floating point.
		{29, "0.29", "0.29"},
		{-1, "-0.01", "-0.01"},
		{-100000, "-1,000.00", "-1000.00"},
		{math.MaxInt64, "92,233,720,368,547,758.07", "92233720368547758.07"},
		{math.MinInt64, "-92,233,720,368,547,758.08", "-92233720368547758.08"},
	} {
		if got := fenGrouped(tc.fen); got != tc.want {
			t.Errorf("fenGrouped(%d) = %q, want %q", tc.fen, got, tc.want)
		}
		if got := fenDecimal(tc.fen); got != tc.decimal {
			t.Errorf("fenDecimal(%d) = %q, want %q", tc.fen, got, tc.decimal)
		}
	}
}
