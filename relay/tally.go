package relay

// TallyKey names a sum that is counted by Beijing day, such as what a client
// may take or what may be refunded without an operator.
type TallyKey struct {
	Name string // what is counted, and whose
	Day  string // yyyy-mm-dd, see internal/beijing
}
