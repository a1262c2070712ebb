// Package beijing holds the zone of WeChat's clocks. Begin with [Zone].
//
// APIv2 writes local times without an offset (v2.md section 2), so that a
// machine's own zone must never take part in reading them. China has had one
// zone and no daylight saving since 1991: a fixed offset is exact and needs
// no zone data on the machine.
package beijing

import "time"

// Zone is UTC+8, China Standard Time.
var Zone = time.FixedZone("CST", 8*60*60)

// Layouts of APIv2 (v2.md section 2), always in Zone.
const (
	Compact  = "20060102150405"      // time_end, time_expire, …
	Readable = "2006-01-02 15:04:05" // times of refunds
)

// Day is the Beijing day of a moment, as yyyy-mm-dd: the day by which WeChat
// makes its bills and the relay counts its limits.
func Day(t time.Time) string { return t.In(Zone).Format(time.DateOnly) }

// Parse reads a time of APIv2 in one of its layouts. Anything that the layout
// would not write in the same way is refused.
func Parse(layout, text string) (time.Time, error) {
	t, err := time.ParseInLocation(layout, text, Zone)
	if err != nil {
		return time.Time{}, err
	}
	if t.Format(layout) != text {
		return time.Time{}, &time.ParseError{Layout: layout, Value: text, Message: ": not written as WeChat writes it"}
	}
	return t.UTC(), nil
}
